# The Django example (clients/django/example), from Debian's packages: the worker, and the web server of
# its admin. From the root of the checkout:
#
#   docker build -f docker/worker.Dockerfile -t inotifier-worker .

ARG BASE=docker.io/library/debian:12-slim
FROM ${BASE}
# libjs-jquery: Debian's admin links to it.
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      python3 python3-zmq python3-msgpack python3-django libjs-jquery python3-psycopg2 python3-pydicom \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY clients/python/src /opt/inotifier/python/src
COPY clients/django/src /opt/inotifier/django/src
COPY clients/django/example /opt/inotifier/django/example
WORKDIR /opt/inotifier/django/example
# Not the receiver's uid: it only reads. To reach the daemon's sockets it needs their group (compose:
# group_add).
USER 10001:10001
EXPOSE 8000
CMD ["python3", "manage.py", "inotifier_consume"]
