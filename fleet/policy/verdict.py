"""What is wrong with a site, read from the matrix: the first rule that matches wins.

Two sites reach each other when their link is up in both directions; a link that works one way
carries no connection and counts as down. A dead link is held against a site only where the
other sites reach its far end: when one of three sites is gone, the other two are up.

The same matrix gives the same verdict at every site; who looks matters only for a site that
judges itself. A site whose signs of life are old is unknown, never down.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from fleet.policy.matrix import Heard, Link, Matrix, fresh_row, link, others, says
from fleet.policy.rows import Row
from fleet.policy.timing import TIMING, Timing

#: Round trips of a broker client that mean trouble with the broker.
BROKER_TROUBLE = frozenset({"timeout", "noreplicas", "readonly"})
SENTINEL_TROUBLE = frozenset({"s_down", "o_down"})
#: Beyond jitter: TCP loses about half its speed at this share of lost packets.
MOST_LOSS = 0.02
#: Beats that are late for more than this share of five minutes: the next outage is near.
MOST_LATE_SHARE = 0.1
#: A queue that fills somewhere on the path multiplies the round trip.
MOST_RTT_TIMES = 4.0
#: Below this nobody notices, and a busy box alone makes it many times as long.
LEAST_SLOW_MS = 20.0


class Kind(StrEnum):
    """`suspect` is what the matrix shows; `down` is a suspicion that lasted (`confirmation`)."""

    UP = "up"
    DEGRADED = "degraded"
    SUSPECT = "suspect"
    LINK_DOWN = "link-down"
    ONE_WAY = "one-way"
    OVERLAY_DOWN = "overlay-down"
    BROKER_ONLY = "broker-only"
    WORKERS_ONLY = "workers-only"
    MAINTENANCE = "maintenance"
    DOWN = "down"
    SELF_ISOLATED = "self-isolated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is one sentence, the same in log, API and dashboard."""

    subject: str
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """The matrix as seen from one site, arranged around one subject."""

    matrix: Matrix
    me: str
    subject: str
    control: str
    timing: Timing
    links: dict[str, Link]  # by peer: the link between it and the subject

    @property
    def reached_by(self) -> list[str]:
        return [peer for peer, state in self.links.items() if state is Link.UP]

    def fresh(self, site: str) -> Row | None:
        return fresh_row(self.matrix, site, self.timing)

    def linked(self, i: str, j: str) -> bool:
        return link(self.matrix, i, j, self.timing) is Link.UP

    def blamed(self, *states: Link) -> list[str]:
        """The peers whose link to the subject is in one of `states`, though others reach them."""
        return [
            peer
            for peer, state in self.links.items()
            if state in states and any(self.linked(peer, by) for by in self.reached_by)
        ]


def classify(
    matrix: Matrix,
    *,
    me: str,
    subject: str,
    sites: Collection[str],
    control: str,
    timing: Timing = TIMING,
) -> Verdict:
    """The verdict of `me` on `subject`. `control` is the site that has a public path."""
    links = {peer: link(matrix, peer, subject, timing) for peer in others(sites, subject)}
    view = _View(matrix=matrix, me=me, subject=subject, control=control, timing=timing, links=links)
    for kind, rule in RULES:
        if reason := rule(view):
            return Verdict(subject, kind, reason)
    return Verdict(subject, Kind.UNKNOWN, _why_unknown(view))


def _maintenance(view: _View) -> str:
    """The last word of a site that has gone quiet counts until its own hard expiry."""
    seen = view.matrix.get(view.subject)
    left_s = seen.row.maintenance_left_s - seen.age_s if seen is not None else 0.0
    return f"in maintenance for {left_s:.0f} s more" if left_s > 0 else ""


def _self_isolated(view: _View) -> str:
    if view.me != view.subject or not _unreached(view) or _public_path(view):
        return ""
    return f"no link of its own works both ways: {_told(view)}"


def _one_way(view: _View) -> str:
    peers = view.blamed(Link.ONE_WAY)
    return f"its link to {_names(peers)} works in one direction only" if peers else ""


def _link_down(view: _View) -> str:
    peers = view.blamed(Link.DOWN)
    by = _names(view.reached_by)
    return f"its link to {_names(peers)} is down; {by} reaches both" if peers else ""


def _overlay_down(view: _View) -> str:
    if not _unreached(view) or not _public_path(view):
        return ""
    return f"no overlay link works ({_told(view)}), but the public path does"


def _broker_only(view: _View) -> str:
    if not view.reached_by:
        return ""
    own = view.fresh(view.subject)
    if own is not None and own.broker in BROKER_TROUBLE:
        return f"its round trip to the broker says {own.broker!r}"
    for site in (view.subject, *view.links):
        row = view.fresh(site)
        seen = row.sentinel.get(view.subject, "") if row is not None else ""
        if seen in SENTINEL_TROUBLE:
            return f"the Sentinel at {site} says {seen} of its Redis"
    return ""


def _workers_only(view: _View) -> str:
    """Not for the control plane's site: its workers sleep until they are needed."""
    own = view.fresh(view.subject)
    if own is None or not view.reached_by or view.subject == view.control:
        return ""
    if own.workers_age_s is not None and own.workers_age_s > view.timing.workers_silent_s:
        return f"its agent answers, but its workers have been silent for {own.workers_age_s:.0f} s"
    if own.canary_failures >= view.timing.canary_failures:
        return f"its agent answers, but {own.canary_failures} canaries in a row failed"
    return ""


def _degraded(view: _View) -> str:
    for peer in view.reached_by:
        for i, j in ((peer, view.subject), (view.subject, peer)):
            word = says(view.matrix, i, j, view.timing)
            if word is not None and (flaw := _flaw(word)):
                return f"{i} hears {j} badly: {flaw}"
    return ""


def _suspect(view: _View) -> str:
    """Two others or more, in touch with each other, agree that nobody reaches it."""
    peers = list(view.links)
    if len(peers) < 2 or not _unreached(view):
        return ""
    if not all(view.linked(i, j) for i in peers for j in peers if i < j):
        return ""
    return f"{_names(peers)} reach each other, but not {view.subject}: {_told(view)}"


def _up(view: _View) -> str:
    """Reached, and every dead link is the far end's doing."""
    reached_by = view.reached_by
    if not reached_by or view.blamed(Link.UNKNOWN):
        return ""
    unreached = [peer for peer in view.links if peer not in reached_by]
    but = f"; nobody here reaches {_names(unreached)}" if unreached else ""
    return f"reached by {_names(reached_by)}{but}"


#: In the order in which the causes count. `_up` stands last of those for a site that is
#: reached: it means that none of the reservations before it holds.
RULES: tuple[tuple[Kind, Callable[[_View], str]], ...] = (
    (Kind.MAINTENANCE, _maintenance),
    (Kind.SELF_ISOLATED, _self_isolated),
    (Kind.ONE_WAY, _one_way),
    (Kind.LINK_DOWN, _link_down),
    (Kind.OVERLAY_DOWN, _overlay_down),
    (Kind.BROKER_ONLY, _broker_only),
    (Kind.WORKERS_ONLY, _workers_only),
    (Kind.DEGRADED, _degraded),
    (Kind.UP, _up),
    (Kind.SUSPECT, _suspect),
)


def _unreached(view: _View) -> bool:
    """Every link is known not to work both ways."""
    return bool(view.links) and all(
        state in (Link.DOWN, Link.ONE_WAY) for state in view.links.values()
    )


def _public_path(view: _View) -> bool:
    """Whether the control plane and the subject (or, for itself, any LAN) meet in public."""
    lans = view.links if view.subject == view.control else (view.subject,)
    words = [
        says(view.matrix, i, j, view.timing)
        for lan in lans
        for i, j in ((view.control, lan), (lan, view.control))
    ]
    return any(word is not None and word.https is True for word in words)


def _flaw(word: Heard) -> str:
    if word.loss > MOST_LOSS:
        return f"{word.loss:.1%} of the beats are lost"
    if word.late_share > MOST_LATE_SHARE:
        return f"beats were late for {word.late_share:.0%} of the last five minutes"
    if word.rtt_ms is not None and word.rtt_usual_ms:
        times = word.rtt_ms / word.rtt_usual_ms
        slow = times > MOST_RTT_TIMES and word.rtt_ms > LEAST_SLOW_MS
        return f"the round trip takes {times:.1f} times as long" if slow else ""
    return ""


def _why_unknown(view: _View) -> str:
    silent = [site for site in view.links if view.fresh(site) is None]
    if silent:
        return f"no fresh row of {_names(silent)}: it may be this site that is cut off"
    return f"the rows do not agree: {_told(view)}"


def _told(view: _View) -> str:
    """Each observer's link to the subject, and how long it has been silent there."""
    return ", ".join(_told_by(view, peer, state) for peer, state in view.links.items())


def _told_by(view: _View, peer: str, state: Link) -> str:
    word = says(view.matrix, peer, view.subject, view.timing)
    silent = f" (silent for {word.silent_s:.0f} s)" if word is not None and not word.heard else ""
    alive = ", its rows still arrive" if word is not None and word.relayed else ""
    return f"{peer} {state}{silent}{alive}"


def _names(sites: Collection[str]) -> str:
    return " and ".join(sites)
