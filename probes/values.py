"""Lenient reading of what devices send: a value that makes no sense is None, never a guess.

Texts come out fit for JSON and for every database: no NUL, no lone surrogates, not endless.
"""

import json
import math
import re
from collections.abc import Mapping

Table = Mapping[str, object]

MAX_TEXT_CHARS = 256

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?|[+-]?\.\d+", re.ASCII)
_DEGREES = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*°?\s*C?", re.ASCII | re.IGNORECASE)
_FLAGS: dict[object, bool] = {"true": True, "false": False, 1: True, 0: False}


def parse_json(body: bytes) -> object:
    """The JSON value in `body`; raises ValueError for everything that is none."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def number(value: object) -> float | None:
    """A finite number; devices send numbers as strings, too."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = value.strip()
        return _finite(value) if _NUMBER.fullmatch(value) else None
    return _finite(value) if isinstance(value, int | float) else None


def _finite(value: str | int | float) -> float | None:
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def whole(value: object) -> int | None:
    """A number without its fraction; counters above 2**53 keep every digit."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 1 << 64 else None
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,19}", value.strip(), re.ASCII):
        return int(value)
    result = number(value)
    return None if result is None or abs(result) >= 1 << 64 else int(result)


def count(value: object) -> int | None:
    """A whole number that cannot be negative: bytes, seconds of uptime, errors."""
    result = whole(value)
    return result if result is not None and result >= 0 else None


def percent(value: object) -> float | None:
    """A number from 0 to 100."""
    result = number(value)
    return result if result is not None and 0 <= result <= 100 else None


def latency_ms(value: object) -> float | None:
    """A latency in milliseconds; negative ones mean "not measured"."""
    result = number(value)
    return result if result is not None and result >= 0 else None


def degrees_c(value: object) -> float | None:
    """A temperature in degrees Celsius, sent as a number or as "72 C"."""
    if isinstance(value, str):
        match = _DEGREES.fullmatch(value.strip())
        return _finite(match[1]) if match else None
    return number(value)


def text(value: object) -> str | None:
    """A text that is not empty."""
    if not isinstance(value, str):
        return None
    clean = value.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()
    return clean[:MAX_TEXT_CHARS] or None


def flag(value: object) -> bool | None:
    """True or False, also as 0, 1, "true" and "false"."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower())
    return _FLAGS.get(value) if isinstance(value, int) else None


def table(value: object) -> Table:
    """A JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def tables(value: object) -> list[Table]:
    """The JSON objects of a list; other elements are left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: object) -> list[str]:
    """The texts of a list; other elements are left out."""
    found = map(text, value) if isinstance(value, list) else ()
    return [item for item in found if item is not None]


def percent_of(part: int | None, total: int | None) -> float | None:
    """`part` as a percentage of `total`, one decimal."""
    if part is None or not total or not 0 <= part <= total:
        return None
    return round(100 * part / total, 1)
