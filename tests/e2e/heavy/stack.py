"""docker/compose.yaml run service by service, as far as a test needs it: one network, on which every
service's name is the loopback address; fresh volumes with owner and mode of the images' directories."""

import os
import shutil
import stat

from containers import Container, NetworkNamespace
from harness import wait_for
from test_compose import dockerfile_of, services_of

# In place of the official image, which no registry is asked for.
POSTGRES = """\
FROM docker.io/library/debian:12-slim
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
      postgresql && install -d -o postgres -g postgres /var/lib/postgresql/data
CMD ["sh", "-ec", "\\
  PATH=/usr/lib/postgresql/15/bin:$PATH; cd /tmp; printf %s \\"$POSTGRES_PASSWORD\\" > /tmp/password; \\
  initdb -A scram-sha-256 -E UTF8 -U \\"$POSTGRES_USER\\" --pwfile /tmp/password /var/lib/postgresql/data; \\
  echo \\"CREATE DATABASE $POSTGRES_DB\\" | postgres --single -D /var/lib/postgresql/data postgres; \\
  exec postgres -D /var/lib/postgresql/data -c listen_addresses=127.0.0.1 \\
    -c unix_socket_directories=/tmp"]
"""


class Stack:
    def __init__(self, store, name, directory, build_time):
        self.store, self.directory = store, directory
        _, self.services = services_of(name)
        self.containers = {}
        self.network = NetworkNamespace()
        images = {}
        for service in self.services.values():
            found = dockerfile_of(service, self.services)
            if found and service["image"] not in {"inotifier", *images}:  # that one is there
                images[service["image"]] = found
        for tag, (dockerfile, context) in images.items():
            store.build(dockerfile, context, tag, build_time)
        postgres = directory / "postgres.Dockerfile"
        postgres.write_text(POSTGRES)
        store.build(postgres, directory, "postgres", build_time)
        for service in self.services:
            self.create(service)

    def create(self, name):
        service = self.services[name]
        is_postgres = service["image"].startswith("docker.io/library/postgres:")
        image = "localhost/" + ("postgres" if is_postgres else service["image"])
        container = Container(
            *(self.store, image, name, service.get("environment")),
            groups=service.get("group_add", []),
            command=service.get("command"),
            read_only=service.get("read_only", False),
            network=self.network,
        )
        hosts = "127.0.0.1 localhost " + " ".join(self.services) + "\n"
        (container.root / "etc/hosts").write_text(hosts)
        for text in service.get("volumes", []):
            volume, inside, mode = (text + ":rw").split(":")[:3]
            container.volumes.append((self.volume(volume, container.root, inside), inside, mode))
        container.volumes += [("tmpfs", path, "rw") for path in service.get("tmpfs", [])]
        container.user = str(service.get("user", container.user))
        if is_postgres:
            home = (container.root / "var/lib/postgresql/data").stat()
            container.user = f"{home.st_uid}:{home.st_gid}"
        test = service.get("healthcheck", {}).get("test")
        container.config["Healthcheck"] = {"Test": test} if test else container.config.get("Healthcheck")
        self.containers[name] = container

    def volume(self, name, root, inside):
        path = self.directory / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        image = root / inside.lstrip("/")
        if image.is_dir() and not any(path.iterdir()):
            like = image.stat()
            os.chown(path, like.st_uid, like.st_gid)
            path.chmod(stat.S_IMODE(like.st_mode))
        return path

    def start(self, name, timeout=60):
        """With those it depends on, in the state it wants of them."""
        container = self.containers[name]
        if container.process is not None and container.process.poll() is None:
            return container
        for other, wanted in self.services[name].get("depends_on", {}).items():
            before = self.containers[other]
            if wanted["condition"] == "service_completed_successfully":
                if before.process is None:
                    self.start(other)
                assert before.process.wait(timeout) == 0, before.log_text()
            else:
                self.start(other)
                wait_for(before.is_healthy, timeout, f"{other}: {before.log_text()}", 0.2)
        return container.start()

    def close(self):
        for name, container in self.containers.items():
            container.close()
            print(f"--- {name}\n{container.log_text()[-4000:]}")
        self.network.close()
        shutil.rmtree(self.directory / "volumes", ignore_errors=True)
