"""The daemon runs out of descriptors for a while."""

import resource

from harness import wait_for, write


def test_descriptors_used_up(workdir, daemons):
    daemon = daemons(workdir)
    daemon.sentinel()
    limits = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    try:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        write("bulk", 300, 30, workdir / "in", "--bytes", 10)
        wait_for(lambda: "raise the limit of open files" in daemon.log_text(), what="the shortage")
    finally:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, limits)
    daemon.collector.wait(count=301, timeout=60)
    daemon.sentinel()
    announced = daemon.announced()
    assert len(announced) == 300
    assert set(announced.values()) == {1}
