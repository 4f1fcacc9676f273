"""A beat on the wire: one UDP datagram of JSON with the sender's row, and rows it passes on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from probes.watch.signed import RowReader, RowRefusedError, SignedRow

VERSION = 1
#: Three rows fit; more is not ours. Below the size that WireGuard would split.
MAX_BYTES = 8192
MAX_RELAYED = 4


@dataclass(frozen=True, slots=True)
class Relayed:
    """A row that the sender had from somebody else, `age_s` seconds old when it was sent."""

    signed: SignedRow
    age_s: float


@dataclass(frozen=True, slots=True)
class Beat:
    own: SignedRow
    relayed: tuple[Relayed, ...] = ()


def encode(beat: Beat) -> bytes:
    """The datagram."""
    passed_on = [r.signed.to_json() | {"age_ms": round(r.age_s * 1000)} for r in beat.relayed]
    body = {"v": VERSION, "own": beat.own.to_json(), "relayed": passed_on}
    return json.dumps(body, separators=(",", ":")).encode()


def decode(data: bytes, reader: RowReader) -> Beat:
    """A checked beat; raises RowRefusedError for anything else."""
    body = _body(data)
    passed_on: Any = body.get("relayed", [])
    if not isinstance(passed_on, list) or len(passed_on) > MAX_RELAYED:
        raise RowRefusedError(f"a beat passes on a list of at most {MAX_RELAYED} rows")
    return Beat(reader.read(body.get("own")), tuple(_relayed(item, reader) for item in passed_on))


def rows_of(items: Sequence[Any], reader: RowReader) -> tuple[Relayed, ...]:
    """Rows that came with a report or its answer."""
    return tuple(_relayed(item, reader) for item in items[:MAX_RELAYED])


def _body(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RowRefusedError(f"a beat is no JSON: {error}") from error
    if not isinstance(body, dict) or body.get("v") != VERSION:
        raise RowRefusedError(f"a beat is a JSON table of version {VERSION}")
    return body


def _relayed(item: Any, reader: RowReader) -> Relayed:
    age_ms = item.get("age_ms") if isinstance(item, dict) else None
    if isinstance(age_ms, bool) or not isinstance(age_ms, int) or age_ms < 0:
        raise RowRefusedError("a row that is passed on has age_ms, whole and not negative")
    return Relayed(reader.read(item), age_ms / 1000)
