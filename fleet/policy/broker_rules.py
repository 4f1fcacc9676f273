"""Which settings of Redis and Sentinel are safe together.

A master that is cut off stops taking writes once no replica has answered for `max_lag_s`.
The others may promote a new one `down_after_s` after they last heard it. The first moment must
come before the second, or two masters take writes and one's are thrown away.
"""

from dataclasses import dataclass

from fleet.policy.errors import ConfigurationError

#: Replicas acknowledge once a second, the master looks once a second, and one is for clocks.
LAG_MARGIN_S = 3

#: One Sentinel a site: with three, any two of them outvote a site that is cut off.
SENTINELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPlan:
    """The settings that must fit each other.

    `max_lag_s` is Redis' `min-replicas-max-lag`, `down_after_s` Sentinel's
    `down-after-milliseconds`; `sentinel_sites` holds the site of each Sentinel.
    """

    max_lag_s: float
    down_after_s: float
    quorum: int
    sentinel_sites: tuple[str, ...]
    replica_priorities: tuple[int, ...]


def broken_rules(plan: BrokerPlan) -> tuple[str, ...]:
    """One sentence for each rule that the plan breaks; empty when it is safe."""
    checks = (_lag(plan), _sentinels(plan), _quorum(plan), _priorities(plan))
    return tuple(sentence for sentence in checks if sentence)


def check(plan: BrokerPlan) -> None:
    """Raise ConfigurationError with every broken rule, one line each."""
    broken = broken_rules(plan)
    if broken:
        raise ConfigurationError("\n".join(["unsafe broker settings:", *broken]))


def wrong_other_sentinels(site: str, others_seen: int) -> str | None:
    """Why the number of Sentinels that `site`'s Sentinel knows is wrong, or None.

    A Sentinel that is remembered but gone raises the majority and can block a failover.
    """
    if others_seen == SENTINELS - 1:
        return None
    return (
        f"the Sentinel of {site} knows {others_seen} others instead of {SENTINELS - 1}; "
        "after a site was replaced run SENTINEL RESET on one Sentinel after the other"
    )


def unsafe(
    site: str, *, max_lag_s: float, down_after_s: float, quorum: int, others_seen: int
) -> tuple[str, ...]:
    """One sentence for each rule that a running Sentinel breaks; empty when it is safe.

    `down_after_s`, `quorum` and `others_seen` are what the Sentinel of `site` says of itself.
    """
    plan = BrokerPlan(
        max_lag_s=max_lag_s,
        down_after_s=down_after_s,
        quorum=quorum,
        sentinel_sites=(),
        replica_priorities=(),
    )
    checks = (_lag(plan), _quorum(plan), wrong_other_sentinels(site, others_seen))
    return tuple(sentence for sentence in checks if sentence)


def _lag(plan: BrokerPlan) -> str | None:
    if plan.max_lag_s + LAG_MARGIN_S <= plan.down_after_s:
        return None
    return (
        f"max_lag_s {plan.max_lag_s:g} + {LAG_MARGIN_S} s is more than down-after "
        f"{plan.down_after_s:g} s: a cut-off master would still take writes when the next one "
        f"starts. Set max_lag_s to at most {plan.down_after_s - LAG_MARGIN_S:g}, or down_after_ms "
        f"to at least {round((plan.max_lag_s + LAG_MARGIN_S) * 1000)}."
    )


def _sentinels(plan: BrokerPlan) -> str | None:
    if len(set(plan.sentinel_sites)) == len(plan.sentinel_sites) == SENTINELS:
        return None
    return (
        f"Sentinels at {', '.join(plan.sentinel_sites) or 'no site'}: "
        f"use exactly {SENTINELS}, each at a site of its own."
    )


def _quorum(plan: BrokerPlan) -> str | None:
    majority = SENTINELS // 2 + 1
    if plan.quorum == majority:
        return None
    return f"quorum {plan.quorum}: use {majority} of {SENTINELS} Sentinels."


def _priorities(plan: BrokerPlan) -> str | None:
    if sum(priority > 0 for priority in plan.replica_priorities) >= 2:
        return None
    return (
        "fewer than two sites may lead (replica_priority above 0): "
        "no Redis could follow one that is lost."
    )
