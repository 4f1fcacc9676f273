"""Clocks, disks and devices of a running lab go wrong as asked, and right again."""

import errno
import time
from typing import cast

import httpx
import pytest

from deploy.lab import processes
from deploy.lab.waiting import wait_until
from tests.lab.namespaced import SmallLab

pytestmark = pytest.mark.integration


def test_a_clock_jumps_while_the_process_runs(lab: SmallLab) -> None:
    lab.faults.skew_clock("dc3", by_s=0)
    pid = lab.record("dc3", "redis").pid
    for by_s in (45, -45):
        lab.faults.skew_clock("dc3", by_s=by_s)
        await_skew(lab, by_s)
    assert abs(skew_s(lab, "dc1")) < 3
    lab.faults.heal()
    await_skew(lab, 0)
    assert lab.record("dc3", "redis").pid == pid


def await_skew(lab: SmallLab, by_s: float) -> None:
    wait_until(
        lambda: abs(skew_s(lab, "dc3") - by_s) < 3, deadline_s=5, what=f"a clock {by_s} s off"
    )


def skew_s(lab: SmallLab, site: str) -> float:
    with lab.brokers.client(site) as client:
        return cast(tuple[int, int], client.time())[0] - time.time()


def test_a_full_disk_takes_no_byte_and_loses_none(lab: SmallLab) -> None:
    kept = lab.paths.root / "dc3" / "kept"
    kept.write_text("before")
    lab.faults.fill_disk("dc3")
    with pytest.raises(OSError, match=r".") as caught:
        (lab.paths.root / "dc3" / "more").write_text("x")
    assert caught.value.errno == errno.ENOSPC
    assert lab.brokers.info("dc3", "server"), "its processes run"
    lab.faults.heal()
    kept.write_text("after")
    processes.stop([lab.record("dc3", name) for name in ("sentinel", "redis")])
    lab.faults.end()
    assert not (lab.paths.root / "dc3").is_mount()
    assert kept.read_text() == "after"
    lab.faults.restart("dc3", "all")


def test_a_device_fails_as_asked_and_works_again(lab: SmallLab) -> None:
    lab.faults.restart("dc2", "sim-openwrt")
    url = f"http://{lab.brokers.addresses.sites['dc2'].device}/"
    assert httpx.get(url).status_code < 500
    lab.faults.api_errors("dc2", mode="http_500", for_s=60)
    assert httpx.get(url).status_code == 500
    lab.faults.heal()
    assert httpx.get(url).status_code < 500
