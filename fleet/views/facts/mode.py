"""The line on top of the fleet's page: who is heard, and how the broker is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fleet.models import BrokerView, FleetState
from fleet.policy.liveness import SUSPECT_AFTER_S
from fleet.views.facts.sites import SiteFacts
from fleet.views.words import age, between, listed, site_label


@dataclass(frozen=True, slots=True)
class BrokerLine:
    """`text` with the age of `since` after it, then `tail`."""

    text: str
    since: datetime | None
    tail: str
    tone: str


@dataclass(frozen=True, slots=True)
class Mode:
    headline: str
    detail: str
    tone: str
    broker: BrokerLine


#: How a mode that is not normal is called, and its tone; "{site}" is the site it is about.
_MODES: dict[str, tuple[str, str]] = {
    "failover": ("Failover of {site}: the others carry on", "bad"),
    "minimal": ("Minimal operations: the control plane hears nobody", "bad"),
    "recovering": ("{site} comes back", "warn"),
    "maintenance": ("Planned stop of {site}", "info"),
    "override": ("Override: a person says who is down", "bad"),
}


def mode(
    sites: Sequence[SiteFacts], view: BrokerView, state: FleetState | None, now: datetime
) -> Mode:
    """The worst of what is known decides the tone."""
    headline, detail, tone = _mode_line(state, now) or _sites_line(sites)
    broker = broker_line(view, now)
    return Mode(headline, detail, _worst(tone, broker.tone), broker)


def broker_line(view: BrokerView, now: datetime) -> BrokerLine:
    """What the control loop last saw of the broker, and how old that is."""
    if view.away_since is not None:
        reason = f" because {view.away_reason}" if view.away_reason else ""
        return BrokerLine("Broker away for", view.away_since, reason, "bad")
    if view.seen_at is None:
        return BrokerLine("Nobody has reported the broker yet.", None, "", "off")
    if (between(view.seen_at, now) or 0.0) >= SUSPECT_AFTER_S:
        text = "The control loop has not looked at the broker for"
        return BrokerLine(text, view.seen_at, f"; master was {view.master or 'unknown'}", "warn")
    name = f"Broker master is {view.master}" if view.master else "No broker master is known"
    return BrokerLine(f"{name}, seen", view.seen_at, " ago", "ok" if view.master else "warn")


def _mode_line(state: FleetState | None, now: datetime) -> tuple[str, str, str] | None:
    """None in normal mode; what is displayed below is then as old as each tile says."""
    if state is None or state.mode not in _MODES:
        return None
    words, tone = _MODES[state.mode]
    age_s = between(state.since, now)
    since = f" For {age(age_s)}, epoch {state.epoch}." if age_s is not None else ""
    return words.format(site=site_label(state.site)), f"{state.reason}.{since}", tone


def _sites_line(sites: Sequence[SiteFacts]) -> tuple[str, str, str]:
    alive = [site for site in sites if site.health.alive]
    silent = [site for site in sites if site.health.tone in ("warn", "bad")]
    unheard = [site.label for site in sites if site.health.tone == "off"]
    not_yet = f"Never heard of: {listed(unheard)}." if unheard else ""
    if not alive and not silent:
        return "No site has been heard yet", "", "off"
    if silent:
        names = listed([site.label for site in silent])
        verb = "is" if len(silent) == 1 else "are"
        tone = "bad" if any(site.health.tone == "bad" for site in silent) else "warn"
        detail = f"{len(alive)} of {len(sites)} sites are heard. {not_yet}".strip()
        return f"{names} {verb} silent", detail, tone
    if unheard:
        return f"{len(alive)} of {len(sites)} sites are heard", not_yet, "info"
    return f"All {len(sites)} sites are heard" if len(sites) > 1 else "The site is heard", "", "ok"


def _worst(*tones: str) -> str:
    order = ("bad", "warn", "off", "info", "ok")
    return min(tones, key=order.index)
