#!/usr/bin/python3
# Prints each finished file. Needs python3-zmq and python3-msgpack.
import os, sys, msgpack, zmq

endpoint = os.environ.get("INOTIFIER_PUBLISH_ENDPOINT", "ipc:///run/inotifier/publish")
socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.RCVHWM, 100_000)
socket.setsockopt(zmq.SUBSCRIBE, b"file.completed/")
socket.connect(sys.argv[1] if len(sys.argv) > 1 else endpoint)
while True:
    topic, body = socket.recv_multipart()
    data = msgpack.unpackb(body)["data"]
    path = data.get("path_bytes") or data["path"]  # what open() takes
    print(data["path"], data["size"], data["evidence"], flush=True)
