"""Taking a site away on purpose: when that is allowed, and for how long."""

from collections.abc import Collection, Mapping

from fleet.policy.decision import Decision
from fleet.policy.verdict import Kind

#: Shorter is a restart: nobody needs to announce it.
SHORTEST_S = 60.0
#: Longer is a removal: take the site out of the configuration.
LONGEST_S = 24 * 3600.0

#: With these the other sites keep two Sentinels and two Redis in touch with each other.
SOUND = frozenset({Kind.UP, Kind.DEGRADED, Kind.WORKERS_ONLY})
CUT = frozenset({Kind.LINK_DOWN, Kind.ONE_WAY})


def may_begin(
    site: str, for_s: float, kinds: Mapping[str, Kind], maintained: Collection[str]
) -> Decision:
    """Whether `site` may go into maintenance for `for_s` seconds.

    `kinds` are the confirmed verdicts on all sites, `maintained` the sites in maintenance.
    """
    reasons = (
        _unknown_site(site, kinds),
        _length(for_s),
        _already(site, maintained),
        _other_missing(site, kinds),
    )
    refusal = next(filter(None, reasons), "")
    return Decision(not refusal, refusal or f"the other sites carry on without {site}")


def left_s(until_s: float, now_s: float) -> float:
    """The seconds until the hard expiry at `until_s`; 0 when it is over."""
    return max(0.0, until_s - now_s)


def _unknown_site(site: str, kinds: Mapping[str, Kind]) -> str:
    known = ", ".join(sorted(kinds))
    return "" if site in kinds else f"there is no site {site!r}; the sites are {known}"


def _length(for_s: float) -> str:
    if SHORTEST_S <= for_s <= LONGEST_S:
        return ""
    return (
        f"a maintenance lasts from {SHORTEST_S / 60:.0f} minute to {LONGEST_S / 3600:.0f} hours, "
        f"not {for_s:.0f} s; give its length, for example --for 2h"
    )


def _already(site: str, maintained: Collection[str]) -> str:
    others = sorted(set(maintained) - {site})
    if others:
        return f"{' and '.join(others)} is in maintenance; only one site at a time may be"
    if site in maintained:
        return f"{site} already is in maintenance, which cannot be extended; end it first"
    return ""


def _other_missing(site: str, kinds: Mapping[str, Kind]) -> str:
    """A cut that ends at the site itself does not matter once the site is away."""
    tolerated = SOUND | CUT if kinds.get(site) in CUT else SOUND
    missing = [
        f"{other} is {kind}"
        for other, kind in sorted(kinds.items())
        if other != site and kind not in tolerated
    ]
    return f"{' and '.join(missing)}; the rest could not carry on without {site}" if missing else ""
