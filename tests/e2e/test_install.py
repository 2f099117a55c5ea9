"""What a C++ user does: install, find_package(inotifier), link, receive."""

import os
import pathlib
import subprocess

BUILD = pathlib.Path(os.environ["INOTIFIER"]).parent
CLIENTS = pathlib.Path(__file__).resolve().parents[2] / "clients"


def run(*argv):
    done = subprocess.run(
        [str(part) for part in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_cpp_client_links_what_is_installed(workdir, daemon, processes):
    prefix = workdir / "prefix"
    run("cmake", "--install", BUILD, "--prefix", prefix)
    assert (prefix / "bin" / "inotifier").is_file()
    run(
        "cmake",
        "-G",
        "Ninja",
        "-S",
        CLIENTS / "cpp",
        "-B",
        workdir / "cpp",
        f"-DCMAKE_PREFIX_PATH={prefix}",
    )
    run("cmake", "--build", workdir / "cpp")
    client = processes(
        [str(workdir / "cpp" / "subscriber"), daemon.endpoint],
        stdout=subprocess.PIPE,
    )
    # Until it is connected, nothing is kept for it: so files come until it has heard of one.
    os.set_blocking(client.stdout.fileno(), False)
    heard = b""
    for _ in range(200):
        path = daemon.sentinel()
        heard += client.stdout.read() or b""
        if os.fsencode(path.parent) in heard:
            return
        assert client.poll() is None, "the client ended"
    raise AssertionError("the client heard nothing")
