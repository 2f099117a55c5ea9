"""The Debian packages on a minimal Debian: installed, used, upgraded, removed, purged."""

import os
import subprocess

from bare_debian import in_debian
from harness import PROJECT

BUILD_TIME = 900

# The service as its unit starts it; from the first command to the first event on a durable consumer.
FIRST_EVENT = """
set -e
mkdir -p /srv/incoming /run/inotifier /var/lib/inotifier
chown inotifier: /srv/incoming /run/inotifier /var/lib/inotifier
printf '[[watch]]\\nname = "incoming"\\npath = "/srv/incoming"\\n' > /etc/inotifier/inotifier.toml
setpriv --reuid=inotifier --regid=inotifier --clear-groups inotifier run & daemon=$!
until inotifier status --check >/dev/null 2>&1; do sleep 0.1; done
setpriv --reuid=inotifier --regid=inotifier --clear-groups sh -c "echo $1 > /srv/incoming/$1"
inotifier consume first file.completed -n 1 --timeout 20s --format '{relative_path}'
kill $daemon
wait $daemon
"""


def build(clone, into):
    done = subprocess.run(
        ["./dev", "deb"], cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout[-6000:]
    for package in (clone / "build" / "deb").glob("*.deb"):
        package.rename(into / package.name)


def newer(package, workdir):
    """The same with a later version and a configuration file that its maintainer has changed."""
    tree = workdir / "newer"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("Version: ", "Version: 9"))
    with (tree / "etc/inotifier/inotifier.toml").open("a") as file:
        file.write("# a later version\n")
    built = workdir / "inotifier_newer.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, built], check=True)
    return built


def succeed(root, command, timeout=300):
    done = in_debian(root, command, timeout)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def test_from_install_to_purge(workdir, clone, bare_debian, tool):
    for program in ("apt-get", "dpkg-deb"):
        tool(program)
    source = bare_debian / "src"
    source.mkdir()
    build(clone, source)
    (package,) = source.glob("inotifier_*.deb")
    later = newer(package, workdir)
    later.rename(source / later.name)
    install = "apt-get -q -y -o Dpkg::Use-Pty=0 --no-install-recommends install"

    succeed(bare_debian, f"apt-get -q update && {install} ./{package.name}")
    assert "first-file" in succeed(bare_debian, FIRST_EVENT.replace("$1", "first-file"))
    assert "/var/lib/inotifier" in succeed(bare_debian, "getent passwd inotifier")
    # A minimal Debian's dpkg leaves manual pages out; the package has them.
    inside = succeed(bare_debian, f"dpkg-deb -c ./{package.name}")
    for part in ("man1/inotifier.1.gz", "man1/inotifier-consume.1.gz", "completions/inotifier"):
        assert part in inside

    # Upgraded: the configuration that was changed and the consumer's place in the journal are kept.
    succeed(bare_debian, f"{install} -o Dpkg::Options::=--force-confold ./inotifier_newer.deb")
    text = (bare_debian / "etc/inotifier/inotifier.toml").read_text()
    assert "/srv/incoming" in text and "a later version" not in text
    heard = succeed(bare_debian, FIRST_EVENT.replace("$1", "second-file"))
    assert "second-file" in heard and "first-file" not in heard

    succeed(bare_debian, f"{install} ./python3-inotifier_*.deb ./python3-django-inotifier_*.deb")
    succeed(bare_debian, "python3 -c 'import inotifier, django_inotifier.signals'")

    subprocess.run(["cp", "-a", str(PROJECT / "clients" / "cpp"), str(source / "cpp")], check=True)
    compile_it = (
        "cmake -G Ninja -S cpp -B /tmp/b && cmake --build /tmp/b && test -x /tmp/b/consumer"
    )
    tools = "g++ cmake ninja-build pkg-config"
    succeed(bare_debian, f"{install} ./libinotifier-dev_*.deb {tools} && {compile_it}", 600)

    succeed(bare_debian, "apt-get -q -y remove inotifier")
    assert not (bare_debian / "usr/bin/inotifier").exists()
    assert (bare_debian / "etc/inotifier/inotifier.toml").exists()
    assert (bare_debian / "var/lib/inotifier/journal.db").exists()
    succeed(bare_debian, "apt-get -q -y purge inotifier")
    for left in ("etc/inotifier", "etc/default/inotifier", "var/lib/inotifier"):
        assert not os.path.lexists(bare_debian / left), left
    assert "inotifier" in (bare_debian / "etc/passwd").read_text()  # files may belong to it
