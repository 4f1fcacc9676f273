"""Who hears whom: the latency of every pair of sites, as each of them measured it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fleet.models import Site
from fleet.policy.liveness import SUSPECT_AFTER_S
from fleet.views.facts import reported
from fleet.views.words import between, percent, site_label


@dataclass(frozen=True, slots=True)
class LinkCell:
    """`at` is None where nobody measured; then `text` says so."""

    text: str
    tone: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LinkRow:
    """What one site hears; `stale` when its measurements are older than its silence may be."""

    label: str
    cells: tuple[LinkCell, ...]
    measured_at: datetime | None
    stale: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """`labels` heads the columns: the sites that are heard."""

    labels: tuple[str, ...]
    rows: tuple[LinkRow, ...]


SELF = LinkCell("·", "off")
NOT_REPORTED = LinkCell("not reported", "off")


def matrix(sites: Sequence[Site], now: datetime) -> Matrix:
    """Rows and columns in the order of `sites`."""
    names = [site.name for site in sites]
    return Matrix(
        tuple(site_label(name) for name in names), tuple(_row(site, names, now) for site in sites)
    )


def _row(site: Site, names: Sequence[str], now: datetime) -> LinkRow:
    links = reported.table(reported.table(site.observations).get("links"))
    cells = tuple(SELF if name == site.name else _cell(links.get(name)) for name in names)
    newest = max((cell.at for cell in cells if cell.at), default=None)
    age_s = between(newest, now)
    return LinkRow(site_label(site.name), cells, newest, age_s is None or age_s >= SUSPECT_AFTER_S)


def _cell(value: object) -> LinkCell:
    link = reported.table(value)
    at = reported.moment(link, "at")
    lost_percent = _lost_percent(link)
    median_ms = reported.number(link, "median_ms")
    if at is None or (median_ms is None and lost_percent is None):
        return NOT_REPORTED
    if median_ms is None:
        return LinkCell("silent", "bad", at)
    latency = f"{median_ms:.1f} ms" if median_ms < 9.95 else f"{median_ms:.0f} ms"
    if lost_percent:
        return LinkCell(f"{latency}, {percent(lost_percent)} lost", "warn", at)
    return LinkCell(latency, "ok", at)


def _lost_percent(link: object) -> float | None:
    """Agents report `loss` as a fraction from 0 to 1, the link task `loss_percent`."""
    values = reported.table(link)
    fraction = reported.number(values, "loss")
    return reported.number(values, "loss_percent") if fraction is None else 100 * fraction
