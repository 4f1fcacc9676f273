"""Scenarios beside the matrix: repeated, slow, full, frozen, and with wrong clocks."""

from collections.abc import Iterator

from deploy.lab.scenario.script import MEND_ALL, Act, Expected, Op, Scenario, break_, mend, wait

RATE_PER_S = 6.0
#: Longer than a lease lives.
BEYOND_LEASE_S = 40.0
ROLLING = (
    ("dc2", "worker"),
    ("dc1", "worker"),
    ("dc2", "agent"),
    ("dc1", "agent"),
    ("dc3", "redis"),
    ("dc2", "redis"),
    ("dc1", "redis"),
    ("dc3", "control"),
)


def scenarios() -> Iterator[Scenario]:
    """All of them."""
    yield from _repeated()
    yield from _whole_sites()
    yield from _boxes()
    yield from _frozen()
    yield from _clocks()


def _repeated() -> Iterator[Scenario]:
    cut = Op("cut_site", ("dc1",))
    flap = (*break_([cut]), wait(4.0), *mend([cut]), wait(4.0))
    yield _scenario("flapping-dc1", flap * 5, Expected(standby=False))
    long = (*break_([cut]), wait(8.0), *mend([cut]), wait(4.0))
    yield _scenario("flapping-dc1-slowly", long * 4, Expected(standby=False))
    rolling = tuple(
        act for where in ROLLING for act in (*break_([Op("restart", where)]), wait(1.0))
    )
    yield _scenario("rolling-restarts", rolling, Expected(standby=False))


def _whole_sites() -> Iterator[Scenario]:
    lans = [Op("kill", (site, "all")) for site in ("dc1", "dc2")]
    yield _scenario(
        "both-lans-down", (*break_(lans), wait(20.0), *mend(lans)), Expected(standby=False)
    )
    away = Op("cut_site", ("dc3",))
    yield _scenario(
        "control-plane-alone",
        (*break_([away]), wait(0.0, BEYOND_LEASE_S), *mend([away])),
        Expected(master="dc1", standby=False),
    )
    crash = Op("kill", ("dc3", "all"))
    yield _scenario(
        "control-plane-crashes", (*break_([crash]), wait(15.0), *mend([crash])), Expected()
    )
    dc1 = Op("cut_site", ("dc1",))
    yield _scenario(
        "standby-loses-its-activator",
        (*break_([dc1]), wait(12.0, 45.0), *break_([away]), wait(0.0, BEYOND_LEASE_S), MEND_ALL),
        Expected(),
    )


def _boxes() -> Iterator[Scenario]:
    for site in ("dc1", "dc2", "dc3"):
        full = Op("fill_disk", (site,))
        acts = (*break_([full]), wait(10.0), *mend([full]))
        yield _scenario(f"disk-full-{site}", acts, Expected(standby=False))
    slow = Op("slow_link", ("dc1", "dc2"), {"delay_ms": 150.0})
    yield _scenario(
        "slow-link", (*break_([slow]), wait(20.0), *mend([slow])), Expected(master="dc1")
    )
    for site in ("dc1", "dc2"):
        crash = Op("kill", (site, "worker"))
        yield _scenario(f"worker-crash-{site}", (*break_([crash]), wait(5.0), *mend([crash])))


def _frozen() -> Iterator[Scenario]:
    for process in ("redis", "worker", "all"):
        frozen = Op("stop", ("dc1", process))
        acts = (*break_([frozen]), wait(12.0, BEYOND_LEASE_S - 5.0), *mend([frozen]))
        yield _scenario(f"frozen-{process}-dc1", acts)
    lost, frozen = Op("cut_site", ("dc1",)), Op("stop", ("dc3", "standby"))
    yield _scenario(
        "frozen-standby-beyond-its-lease",
        (
            *break_([lost]),
            wait(12.0, 45.0),
            *break_([frozen, Op("cut_site", ("dc3",))]),
            wait(0.0, BEYOND_LEASE_S),
            *mend([frozen]),
            wait(5.0),
            MEND_ALL,
        ),
    )


def _clocks() -> Iterator[Scenario]:
    for site, by_s in (("dc1", 5.0), ("dc1", -5.0), ("dc2", 60.0), ("dc3", 30.0), ("dc3", -30.0)):
        jump = Op("skew_clock", (site,), {"by_s": by_s})
        name = f"clock-{site}-{'ahead' if by_s > 0 else 'behind'}-{abs(by_s):g}s"
        yield _scenario(name, (*break_([jump]), wait(12.0), *mend([jump])))


def _scenario(name: str, acts: tuple[Act, ...], expected: Expected | None = None) -> Scenario:
    return Scenario(
        name=name,
        setting="dc1 leads, loaded",
        master="dc1",
        rate_per_s=RATE_PER_S,
        acts=acts,
        expected=expected or Expected(),
    )
