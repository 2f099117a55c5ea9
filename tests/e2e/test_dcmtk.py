"""DCMTK's storescp receives from storescu."""

import os
import socket
import subprocess

import pytest

from harness import assert_final, wait_for

DUMP = """\
(0008,0016) UI =SecondaryCaptureImageStorage
(0008,0018) UI [{uid}.1.{number}]
(0008,0020) DA [20200101]
(0008,0060) CS [OT]
(0010,0010) PN [Test^Patient]
(0010,0020) LO [{number}]
(0020,000d) UI [{uid}.2]
(0020,000e) UI [{uid}.3]
(0020,0013) IS [{number}]
(0028,0002) US 1
(0028,0004) CS [MONOCHROME2]
(0028,0010) US 128
(0028,0011) US 128
(0028,0100) US 8
(0028,0101) US 8
(0028,0102) US 7
(0028,0103) US 0
(7fe0,0010) OW ={pixels}
"""


@pytest.fixture
def images(workdir, tool):
    """Thirty small, valid DICOM files."""
    pixels = workdir / "out" / "pixels"
    pixels.write_bytes(os.urandom(128 * 128))
    directory = workdir / "out" / "images"
    directory.mkdir()
    for number in range(30):
        dump = workdir / "out" / "dump"
        dump.write_text(DUMP.format(uid="1.2.826.0.1.3680043.9.7777", number=number, pixels=pixels))
        subprocess.run(
            [tool("dump2dcm"), "--write-xfer-little", dump, directory / f"{number}.dcm"],
            check=True,
        )
    return directory


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.parametrize("options", [[], ["+B"], ["+uf"]], ids=["plain", "bit preserving", "fork"])
def test_storescp(workdir, daemons, processes, tool, images, options):
    daemon = daemons(workdir, {"settle": "200ms"} if options == ["+B"] else {})
    port = free_port()
    words = [tool("storescp"), "-od", workdir / "in"]
    words += ["--fork", str(port)] if options == ["+uf"] else [*options, str(port)]
    processes(words)

    def listening():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    wait_for(listening, what="storescp")
    subprocess.run([tool("storescu"), "127.0.0.1", str(port), "+sd", images], check=True)
    daemon.collector.wait(count=30, timeout=20)
    daemon.sentinel()
    announced = daemon.announced()
    assert len(announced) == 30
    assert set(announced.values()) == {1}
    messages = daemon.collector.of()
    assert_final(messages)
    for path in announced:
        subprocess.run([tool("dcmftest"), path], check=True, stdout=subprocess.DEVNULL)
