#!/usr/bin/env python3
"""A process that consumes durably and writes down what it is told, before it acks.

consumer.py ENDPOINT NAME LOG SEED LEASE: until it is killed. Started anew it is another client of
the same consumer; while another one has it, it stands by.

The log is a row of MessagePack arrays:
  ["told", mono, [[position, id, type, ...], ...]]  see protocol.told; written before the ack is sent
  ["acked", mono, stream, position]                 the daemon has confirmed it
  ["lost", mono, first, last], ["behind", mono, n], ["owner", mono], ["standby", mono]
  ["error", mono, code]
"""

import os
import random
import sys
import time

import msgpack
from protocol import Refused, Service, Silence, client_id, told

ENDPOINT, NAME, LOG, SEED, LEASE = sys.argv[1:6]
CHOICE = random.Random(int(SEED))
log_fd = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def note(*entry):
    os.write(log_fd, msgpack.packb(entry))


def main():
    service = Service(ENDPOINT)
    client = client_id()
    ack = {}
    state = None
    while True:
        try:
            reply = service.request(
                "fetch",
                timeout=3,
                consumer=NAME,
                client=client,
                limit=CHOICE.choice((1, 16, 256, 1024, 1024, 4096)),
                wait=CHOICE.choice((0, 0.2, 1)),
                lease=int(LEASE),
                **ack,
            )
        except Silence:
            note("error", time.monotonic_ns(), "silence")
            continue
        except Refused as refused:
            note("error", time.monotonic_ns(), refused.code)
            if refused.code == "busy":
                time.sleep(0.05)
            elif refused.code in ("stream_changed", "not_owner", "bad_ack"):
                ack = {}
            else:
                raise
            continue
        now = time.monotonic_ns()
        if ack and "cursor" in reply:
            note("acked", now, ack["stream"], ack["ack"])
        is_standby = bool(reply.get("standby"))
        if is_standby != state:
            state = is_standby
            note("standby" if is_standby else "owner", now)
        if is_standby:
            assert not reply.get("events") and "cursor" not in reply, reply
            ack = {}
            continue
        if reply.get("lost"):
            note("lost", now, reply["lost"]["first"], reply["lost"]["last"])
        if reply["events"]:
            note("told", now, [told(event) for event in reply["events"]])
        note("behind", now, reply["behind"])
        ack = {"stream": reply["stream"], "ack": reply["cursor"]}


main()
