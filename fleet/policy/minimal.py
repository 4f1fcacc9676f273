"""What may be done in which mode: one table, asked by everything that issues or publishes work.

In minimal mode the control plane cannot tell "both LANs are down" from "I am cut off". The LANs
may be alive, hold the broker's majority and work. So it accepts, shows and warns, and does
nothing that could happen a second time over there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fleet.policy.decision import Decision
from fleet.policy.effects import EffectClass
from fleet.policy.modes import Mode


class Deed(StrEnum):
    ACCEPT = "accept"  # a run, durably, into the store of the one who decides
    SHOW = "show"  # what is known, with its age
    ALERT = "alert"  # people, on a path outside the fleet
    UPKEEP = "upkeep"  # own, repeatable work: roll-ups, retention, backups
    PROBE = "probe"  # look whether the others are there
    PREWARM = "prewarm"  # wake the standby machine; it starts nothing without a lease
    PUBLISH_NEW = "publish-new"  # an attempt that was never in the broker
    PUBLISH_AGAIN = "publish-again"  # the same attempt, with the same token
    NEW_ATTEMPT = "new-attempt"  # issue a token
    RUN_HERE = "run-here"  # by the one who decides, without the broker
    EXPIRE_LAN_LEASE = "expire-lan-lease"  # take a LAN's claim for lost
    PROMOTE_BROKER = "promote-broker"  # a planned move; an unplanned one is Sentinel's
    WORKER_JOIN = "worker-join"  # take a worker that was never seen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What a condition may look at."""

    published_before: bool
    effect: EffectClass | None
    allow_minimal: bool
    owned: bool


_Rule = Callable[[_Run], str]


def _yes(_: _Run) -> str:
    return ""


def _no(sentence: str) -> _Rule:
    return lambda _: sentence


def _harmless(run: _Run) -> str:
    """Only what cannot happen a second time elsewhere, and would do no harm if it did."""
    if run.published_before:
        return "it was published before: a LAN may be working on it"
    if run.effect is not EffectClass.A:
        return f"effect class {run.effect or 'unknown'}: only class A runs while nobody is heard"
    return "" if run.allow_minimal else "its task does not allow minimal mode (allow_minimal)"


def _own_work(run: _Run) -> str:
    """A site that is alone runs what nobody else can run."""
    if run.owned or (run.effect is EffectClass.A and not run.published_before):
        return ""
    return "alone, a site runs only what it owns: a capability of its own, or class A from here"


_CUT_OFF = "the control plane may be the one that is cut off"
_NO_BROKER = _no(f"no broker is written in minimal mode: {_CUT_OFF}")
_NOT_MINIMAL = _no(f"not in minimal mode: {_CUT_OFF}")
_SENTINEL = _no("only Sentinel promotes in this mode")
_NO_MAJORITY = _no("a site that is alone has no broker")
_CONTROL = _no("only the control plane decides this")
_VIA_BROKER = _no("work goes through the broker in this mode")

_ALWAYS: dict[Deed, _Rule] = dict.fromkeys(
    (Deed.ACCEPT, Deed.SHOW, Deed.ALERT, Deed.UPKEEP, Deed.PROBE), _yes
)
_EVERYTHING: dict[Deed, _Rule] = dict.fromkeys(Deed, _yes) | {Deed.RUN_HERE: _VIA_BROKER}

TABLE: dict[Mode, dict[Deed, _Rule]] = {
    Mode.NORMAL: _EVERYTHING,
    Mode.RECOVERING: _EVERYTHING,
    Mode.MAINTENANCE: _EVERYTHING,
    Mode.FAILOVER: _EVERYTHING | {Deed.PROMOTE_BROKER: _SENTINEL},
    Mode.MINIMAL: _ALWAYS
    | {
        Deed.PREWARM: _yes,
        Deed.PUBLISH_NEW: _NO_BROKER,
        Deed.PUBLISH_AGAIN: _NO_BROKER,
        Deed.NEW_ATTEMPT: _harmless,
        Deed.RUN_HERE: _harmless,
        Deed.EXPIRE_LAN_LEASE: _NOT_MINIMAL,
        Deed.PROMOTE_BROKER: _NO_BROKER,
        Deed.WORKER_JOIN: _NOT_MINIMAL,
    },
    Mode.OVERRIDE: _EVERYTHING | {Deed.RUN_HERE: _yes, Deed.PROMOTE_BROKER: _SENTINEL},
    Mode.LAN_ONLY: _ALWAYS
    | {
        Deed.PREWARM: _CONTROL,
        Deed.PUBLISH_NEW: _yes,
        Deed.PUBLISH_AGAIN: _yes,
        Deed.NEW_ATTEMPT: _yes,
        Deed.RUN_HERE: _VIA_BROKER,
        Deed.EXPIRE_LAN_LEASE: _yes,
        Deed.PROMOTE_BROKER: _SENTINEL,
        Deed.WORKER_JOIN: _CONTROL,
    },
    Mode.ISLAND: _ALWAYS
    | {
        Deed.PREWARM: _CONTROL,
        Deed.PUBLISH_NEW: _NO_MAJORITY,
        Deed.PUBLISH_AGAIN: _NO_MAJORITY,
        Deed.NEW_ATTEMPT: _own_work,
        Deed.RUN_HERE: _own_work,
        Deed.EXPIRE_LAN_LEASE: _no("the other LAN may be at work"),
        Deed.PROMOTE_BROKER: _NO_MAJORITY,
        Deed.WORKER_JOIN: _CONTROL,
    },
}


def may(
    deed: Deed,
    mode: Mode,
    *,
    published_before: bool = False,
    effect: EffectClass | None = None,
    allow_minimal: bool = False,
    owned: bool = False,
) -> Decision:
    """Whether the one who decides (the control plane, or a LAN for its own runs) may do it now.

    `published_before`: any attempt of the run was ever in a broker or with a LAN. `effect` None
    means unknown, which is the most careful. `owned`: nobody else can run it, because the
    capability exists at this site only.
    """
    run = _Run(
        published_before=published_before, effect=effect, allow_minimal=allow_minimal, owned=owned
    )
    refused = TABLE[mode][deed](run)
    return Decision(not refused, refused or f"{deed} is allowed in mode {mode}")
