"""Hand-made lines of witnesses for the history checker's tests."""

import json
from pathlib import Path
from typing import Any


def accepted(key: str, effect: str = "B", **more: Any) -> dict[str, Any]:
    return {"monotonic_s": 1.0, "id": f"run-{key}", "key": key, "effect": effect, **more}


def start(key: str, effect: str = "B", token: int = 1, **more: Any) -> dict[str, Any]:
    """The line that a canary writes when it starts."""
    return {
        "key": key,
        "event": "start",
        "class": effect,
        "run_id": f"run-{key}",
        "token": token,
        "site": "dc1",
        "box": "mini-1",
        "pid": 17,
        "time": "2026-01-01T00:00:00+00:00",
        "monotonic_s": 2.0,
        **more,
    }


def effect(key: str, effect: str = "B", token: int = 1, **more: Any) -> dict[str, Any]:
    return start(key, effect, token, event="effect", **more)


def ack(
    site: str, at_s: float, *, replicas: int = 1, reign: str = "", took_s: float = 0.001
) -> dict[str, Any]:
    return {
        "monotonic_s": at_s,
        "sent_s": at_s - took_s,
        "site": site,
        "replicas": replicas,
        "replication_id": reign or f"{site}-1",
    }


def write(folder: Path, **files: list[dict[str, Any]]) -> Path:
    """Write `accepted`, `lease`, `alone`, `acks`, and effects by site."""
    effects = files.pop("effects", [])
    for site in sorted({line["site"] for line in effects}):
        lines = [line for line in effects if line["site"] == site]
        _write(folder / site / "effects.jsonl", lines)
    for name, lines in files.items():
        _write(folder / f"{name}.jsonl", lines)
    return folder


def _write(path: Path, lines: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
