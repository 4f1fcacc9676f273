"""What leaves the site of a result: all of it, or digest, size, summary and place."""

import json
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from fleet.policy.contracts import ResultPlace
from fleet.policy.envelope import canonical_json
from fleet.policy.errors import FleetError, StorageError
from fleet.policy.json_values import MAX_DEPTH, too_deep, without_nul
from tasks.settings import FleetSettings

SUMMARY_CHARS = 200


@dataclass(frozen=True, slots=True)
class Summarised:
    """A task may return this to say itself what operators see of a result that stays local."""

    value: Any
    summary: str


@dataclass(frozen=True, slots=True)
class KeptResult:
    """`value` is what is reported; `meta` describes a result that stayed at the site."""

    value: Any
    meta: dict[str, Any] | None


def keep(settings: FleetSettings, run_id: str, place: ResultPlace, returned: Any) -> KeptResult:
    """Decide what is reported of a return value; store the rest below `state_dir/results`.

    Raises FleetError (ours, permanent) for a value that is not JSON, StorageError if the file
    cannot be written.
    """
    value = returned.value if isinstance(returned, Summarised) else returned
    content = _content(value)
    value = json.loads(content)
    local = place is ResultPlace.LOCAL
    if not local and len(content) <= settings.limits.max_result_bytes:
        return KeptResult(value, None)
    if isinstance(returned, Summarised):
        summary = returned.summary[:SUMMARY_CHARS]
    else:
        summary = _shape(value) if local else content[:SUMMARY_CHARS].decode(errors="ignore")
    return KeptResult(None, _store(settings, run_id, content, summary))


def _content(value: Any) -> bytes:
    """The value as canonical JSON, in the form that every database can store."""
    if too_deep(value):
        raise FleetError(f"the task's result is nested more than {MAX_DEPTH} levels deep")
    try:
        return canonical_json(without_nul(value))
    except (TypeError, ValueError) as error:
        raise FleetError(f"the task returned something that is not JSON: {error}") from error


def _shape(value: Any) -> str:
    """What a value is, without saying what is in it."""
    if isinstance(value, dict):
        return f"object with {len(value)} keys"
    if isinstance(value, list):
        return f"list of {len(value)}"
    return type(value).__name__


def _store(settings: FleetSettings, run_id: str, content: bytes, summary: str) -> dict[str, Any]:
    path = settings.state_dir / "results" / f"{run_id}.json"
    try:
        write_durably(path, content)
    except OSError as error:
        raise StorageError(f"cannot keep the result in {path}: {error.strerror}") from error
    return {
        "digest": sha256(content).hexdigest(),
        "size_bytes": len(content),
        "summary": summary,
        "site": settings.site,
        "box": settings.box,
        "place": f"results/{path.name}",
    }


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a power cut."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
