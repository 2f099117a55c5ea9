# A DICOM receiver, for the example: DCMTK's storescp. From the root of the checkout:
#
#   docker build -f docker/receiver.Dockerfile -t dicom-receiver docker

ARG BASE=docker.io/library/debian:12-slim
FROM ${BASE}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends dcmtk \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
# A fresh volume takes over this mode; whichever uid the receiver is given can write there.
RUN install -d -m 1777 /srv/incoming
USER 1000:1000
EXPOSE 11112
# Without a name server that answers, looking up who calls would take longer than callers wait.
CMD ["storescp", "--fork", "--disable-host-lookup", "--aetitle", "RECEIVER", \
     "--output-directory", "/srv/incoming", "11112"]
