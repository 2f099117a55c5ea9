"""What docker/ says agrees with the daemon, with ./dev and with itself; heavy/test_image.py runs it."""

import os
import re
import subprocess

import pytest

from harness import BINARY, PROJECT

yaml = pytest.importorskip("yaml", reason="python3-yaml is not installed")

DOCKER = PROJECT / "docker"
FILES = ["compose.yaml", "dcm4che/compose.yaml"]


def filled_in(text):
    """Compose's ${NAME:-default}; a variable without a default would stop whoever just tries it."""
    assert not re.search(r"\$\{\w+\}|\$\w", text), "a variable without a default"
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def services_of(name):
    compose = yaml.safe_load(filled_in((DOCKER / name).read_text()))
    return compose, compose["services"]


def dockerfile_of(name, service, services):
    """The Dockerfile of a service, which may use the image that another one builds; or None."""
    for other in [service, *services.values()]:
        if "build" in other and other["image"] == service["image"]:
            context = ((DOCKER / name).parent / other["build"]["context"]).resolve()
            return context / other["build"]["dockerfile"], context
    return None


def instructions(dockerfile):
    text = dockerfile.read_text().replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line and line[0] != "#"]


def apt_packages(text):
    return set(text.split("--no-install-recommends")[1].split("&&")[0].split())


@pytest.mark.parametrize("name", FILES)
def test_refers_to_what_is_there(name):
    compose, services = services_of(name)
    named = set()
    for service in services.values():
        assert set(service) <= {
            *("image", "build", "user", "group_add", "init", "ports", "volumes", "environment"),
            *("command", "healthcheck", "depends_on", "restart", "cap_drop", "security_opt"),
            *("read_only", "tmpfs"),
        }
        found = dockerfile_of(name, service, services)
        if found is None:
            assert service["image"].startswith("docker.io/"), service
        else:
            dockerfile, context = found
            for what, rest in instructions(dockerfile):
                if what == "COPY" and not rest.startswith("--from"):
                    for source in rest.split()[:-1]:
                        assert (context / source).exists(), f"{dockerfile}: COPY {source}"
        named |= {volume.split(":")[0] for volume in service.get("volumes", [])}
        for other, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                below = dockerfile_of(name, services[other], services)
                assert "healthcheck" in services[other] or "HEALTHCHECK" in below[0].read_text()
            else:
                assert condition["condition"] == "service_completed_successfully"
                assert "restart" not in services[other]
    assert named == set(compose["volumes"])


@pytest.mark.parametrize("name", FILES)
def test_daemon_knows_the_environment(name):
    _, services = services_of(name)
    environment = services["inotifier"]["environment"]
    assert environment["INOTIFIER_WATCH"] == "/srv/incoming"

    def check(**more):
        given = {k: str(v) for k, v in {**environment, **more}.items()}
        return subprocess.run(
            [BINARY, "check", "--json"],
            env={"PATH": os.environ["PATH"], **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    assert check(INOTIFIER_WATCH_SETTEL="1s").returncode == 2, "it does look at the names"
    done = check()
    assert "unknown variable" not in done.stdout and done.returncode != 2, done.stdout
    for service in services.values():  # what the clients of these services read
        ours = {k for k in service.get("environment", {}) if k.startswith("INOTIFIER_")}
        if service["image"] != "inotifier":
            assert ours <= {"INOTIFIER_FETCH_ENDPOINT", "INOTIFIER_ROOTS"}


@pytest.mark.parametrize("name", FILES)
def test_daemon_is_the_receivers_user(name):
    """Else leases are refused; and who fetches is in the group of the sockets."""
    _, services = services_of(name)
    user = services["receiver"]["user"]
    assert services["inotifier"]["user"] == user
    group = user.split(":")[1]
    for service in services.values():
        if any(volume.startswith("sockets:") for volume in service.get("volumes", [])):
            groups = [str(g) for g in service.get("group_add", [])]
            assert service.get("user") == user or group in groups, service


def test_dockerfile_installs_what_the_build_needs():
    dev = (PROJECT / "dev").read_text()
    needed = set(re.search(r"packages_build=\((.*?)\)", dev, re.DOTALL)[1].split())
    runs = [rest for what, rest in instructions(DOCKER / "Dockerfile") if what == "RUN"]
    assert apt_packages(runs[0]) == needed - {"doctest-dev"}  # no tests are built there


def test_kubernetes_manifest_agrees_with_the_image():
    """One uid for all of the pod; the daemon's variables are known; volumes and claims are declared."""
    manifest = list(yaml.safe_load_all((DOCKER / "kubernetes.yaml").read_text()))
    claims = {m["metadata"]["name"] for m in manifest if m["kind"] == "PersistentVolumeClaim"}
    (stateful,) = [m for m in manifest if m["kind"] == "StatefulSet"]
    pod = stateful["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 1000
    volumes = {v["name"]: v for v in pod["volumes"]}
    mounted = {m["name"] for c in pod["containers"] for m in c["volumeMounts"]}
    assert mounted == set(volumes)
    used = {
        v["persistentVolumeClaim"]["claimName"] for v in volumes.values() if "emptyDir" not in v
    }
    assert used == claims
    daemon = {c["name"]: c for c in pod["containers"]}["inotifier"]
    given = {e["name"]: e["value"] for e in daemon["env"]}
    done = subprocess.run(
        [BINARY, "check", "--json"],
        env={"PATH": os.environ["PATH"], **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert "unknown variable" not in done.stdout and done.returncode != 2, done.stdout
    health = [r for w, r in instructions(DOCKER / "Dockerfile") if w == "HEALTHCHECK"][0]
    command = re.search(r"CMD (\[.*\])", health)[1]
    for probe in ("startupProbe", "readinessProbe"):
        assert daemon[probe]["exec"]["command"] == yaml.safe_load(command)
