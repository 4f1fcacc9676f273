"""All rules over one history, and the verdict."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.lab.history import effects, leases, masters
from deploy.lab.history.figures import figures
from deploy.lab.history.records import History, read_history
from deploy.lab.history.violations import MEANING, Rule, Violation
from fleet.policy.timing import TIMING


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found, and what was measured on the way."""

    violations: tuple[Violation, ...]
    figures: dict[str, Any]

    @property
    def green(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations

    def by_rule(self) -> dict[Rule, int]:
        """How often each rule was broken; every rule is named."""
        counted = Counter(one.rule for one in self.violations)
        return {rule: counted[rule] for rule in MEANING}

    def as_json(self) -> dict[str, Any]:
        """Plain values; `violations` holds each with the lines that show it."""
        return {
            "green": self.green,
            "rules": {str(rule): count for rule, count in self.by_rule().items()},
            "violations": [
                {"rule": str(one.rule), "about": one.about, "shown_by": one.shown_by}
                for one in self.violations
            ],
            "figures": self.figures,
        }


def check(history: History, *, standby: str, ttl_s: float = TIMING.lease_ttl_s) -> Verdict:
    """Check every rule. `standby` is the site whose workers need a lease of `ttl_s` seconds."""
    found = (
        *effects.lost(history),
        *effects.effect_twice(history),
        *effects.started_twice(history),
        *effects.token_order(history),
        *effects.accepted_twice(history),
        *effects.unknown_run(history),
        *leases.outside_a_lease(history, standby),
        *leases.while_alone(history, standby, ttl_s),
        *masters.two_masters(history),
    )
    return Verdict(violations=found, figures=figures(history))


def check_folder(folder: Path, *, standby: str, ttl_s: float = TIMING.lease_ttl_s) -> Verdict:
    """Check what lies below a folder; raises ConfigurationError when no producer wrote there."""
    return check(read_history(folder), standby=standby, ttl_s=ttl_s)
