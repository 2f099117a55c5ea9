"""The auditor of tests/fault, briefly; `./dev soak` runs it long."""

import pathlib
import subprocess

AUDITOR = pathlib.Path(__file__).resolve().parents[1] / "fault" / "auditor.py"


def audit(*arguments):
    words = ["/usr/bin/python3", "-B", AUDITOR, *arguments]
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:]


def test_kills_stops_and_takeovers():
    audit("--seconds", 20, "--seed", 1, "--rate", 1000)


def test_power_cuts():
    audit("--seconds", 15, "--seed", 2, "--rate", 500, "--faults", "power cut,kill")
