"""What one site says of itself and of each other site, and how that goes over the network.

A row stays below 400 bytes in a fleet of three: it goes along with every beat. What has its
default is left out, and what a newer version adds is ignored by an older one.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

from fleet.policy.errors import RefusedError

SENTINEL_VIEWS = ("", "s_down", "o_down")
BROKER_VIEWS = ("ok", "readonly", "noreplicas", "timeout", "unknown")
#: More sites than any fleet has; it bounds what a broken or hostile row can cost.
MOST_SITES = 16
#: Digits after the point that are sent: milliseconds, thousandths of a share.
DIGITS = 3

_SITE = re.compile(r"[a-z][a-z0-9-]{0,30}")
_VERSION = re.compile(r"[A-Za-z0-9.+_-]{0,32}")
#: What a 64-bit database column holds.
_LARGEST_COUNT = 2**63 - 1
#: About 30 years: any duration in seconds or milliseconds that makes sense is below.
_LARGEST_DURATION = 1e12


class MalformedRowError(RefusedError, ValueError):
    """A row that is not built as it should be; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one row says of one other site.

    `heard`: its beats arrive directly. `relayed`: fresh rows of it arrive through the third
    site. `https`: the public path between the two works; None where there is no such path
    (from LAN to LAN). `phi` and `silent_s` are the detector's. `loss` is the share of beats that
    did not arrive, `late_share` the share of the last five minutes in which phi was raised, both
    from 0 to 1. `rtt_usual_ms` is the round trip on a good day.
    """

    heard: bool
    relayed: bool = False
    https: bool | None = None
    phi: float = 0.0
    silent_s: float = 0.0
    rtt_ms: float | None = None
    loss: float = 0.0
    late_share: float = 0.0
    rtt_usual_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One site's own word about itself and the others, numbered by `seq`.

    `sentinel` says for each site how this site's Sentinel sees the Redis there, one of
    `SENTINEL_VIEWS`. `broker` is this site's own round trip to the master, one of
    `BROKER_VIEWS`. `workers_age_s` is the age of the last word of any worker here; None where
    none is expected. `maintenance_left_s` is 0 outside a maintenance. `epoch` is the fleet's.
    """

    site: str
    seq: int
    epoch: int
    heard: Mapping[str, Heard]
    sentinel: Mapping[str, str]
    broker: str = "unknown"
    workers_age_s: float | None = None
    canary_failures: int = 0
    maintenance_left_s: float = 0.0
    version: str = ""


def to_json(row: Row) -> dict[str, Any]:
    """The row as JSON values, with floats rounded to `DIGITS`."""
    heard = {site: _without_defaults(word) for site, word in row.heard.items()}
    return _without_defaults(row) | {"heard": heard, "sentinel": dict(row.sentinel)}


def row_from_json(data: Any) -> Row:
    """The row in `data`, which came from the network; raises MalformedRowError."""
    return Row(**_read(data, "row", _ROW, required=("site", "seq", "epoch", "heard", "sentinel")))


def _without_defaults(value: Row | Heard) -> dict[str, Any]:
    held = {f.name: getattr(value, f.name) for f in fields(value) if not _is_default(value, f)}
    return {k: round(v, DIGITS) if isinstance(v, float) else v for k, v in held.items()}


def _is_default(value: Row | Heard, field: Field[Any]) -> bool:
    return bool(getattr(value, field.name) == field.default)


Reader = Callable[[Any, str], Any]


def _read(
    data: Any, name: str, readers: Mapping[str, Reader], required: Iterable[str]
) -> dict[str, Any]:
    """The fields of an object that have a reader; the others are a newer version's."""
    if not isinstance(data, dict):
        raise MalformedRowError(f"{name} is not an object")
    for missing in required:
        if missing not in data:
            raise MalformedRowError(f"{name} lacks {missing!r}")
    return {
        field: read(data[field], f"{name}.{field}")
        for field, read in readers.items()
        if field in data
    }


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise MalformedRowError(f"{name} is neither true nor false")
    return value


def _count(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST_COUNT:
        raise MalformedRowError(f"{name} is not a whole number from 0 to {_LARGEST_COUNT}")
    return value


def _number(most: float) -> Reader:
    """A finite number from 0 to `most`."""

    def read(value: Any, name: str) -> float:
        if type(value) not in (int, float) or not 0 <= value <= most:
            raise MalformedRowError(f"{name} is not a number from 0 to {most:g}")
        return float(value)

    return read


def _word(pattern: re.Pattern[str]) -> Reader:
    def read(value: Any, name: str) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise MalformedRowError(f"{name} is not a text of the form {pattern.pattern}")
        return value

    return read


def _one_of(known: tuple[str, ...]) -> Reader:
    def read(value: Any, name: str) -> str:
        if not isinstance(value, str) or value not in known:
            raise MalformedRowError(f"{name} is none of {', '.join(map(repr, known))}")
        return value

    return read


def _or_none(inner: Reader) -> Reader:
    return lambda value, name: None if value is None else inner(value, name)


def _per_site(inner: Reader) -> Reader:
    """An object whose keys are names of sites, not more than `MOST_SITES`."""
    site_name = _word(_SITE)

    def read(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > MOST_SITES:
            raise MalformedRowError(f"{name} is not an object of at most {MOST_SITES} sites")
        return {site_name(k, f"a key of {name}"): inner(v, f"{name}.{k}") for k, v in value.items()}

    return read


def _heard(value: Any, name: str) -> Heard:
    return Heard(**_read(value, name, _HEARD, required=("heard",)))


_HEARD: dict[str, Reader] = {
    "heard": _flag,
    "relayed": _flag,
    "https": _or_none(_flag),
    "phi": _number(_LARGEST_DURATION),
    "silent_s": _number(_LARGEST_DURATION),
    "rtt_ms": _or_none(_number(_LARGEST_DURATION)),
    "loss": _number(1.0),
    "late_share": _number(1.0),
    "rtt_usual_ms": _or_none(_number(_LARGEST_DURATION)),
}
_ROW: dict[str, Reader] = {
    "site": _word(_SITE),
    "seq": _count,
    "epoch": _count,
    "heard": _per_site(_heard),
    "sentinel": _per_site(_one_of(SENTINEL_VIEWS)),
    "broker": _one_of(BROKER_VIEWS),
    "workers_age_s": _or_none(_number(_LARGEST_DURATION)),
    "canary_failures": _count,
    "maintenance_left_s": _number(_LARGEST_DURATION),
    "version": _word(_VERSION),
}
