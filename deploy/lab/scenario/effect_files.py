"""The sites' files of effects while they grow, and the part of them that is one scenario's."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EFFECTS = "effects.jsonl"
ACCEPTED = "accepted.jsonl"
#: Where scenarios keep their own folders, below the lab's.
KEPT = "scenarios"


@dataclass(slots=True)
class Tail:
    """The whole lines that came since the last look."""

    path: Path
    offset: int = 0

    def more(self) -> list[bytes]:
        """Lines with their ends; a line that is still being written waits for the next look."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self.offset += len(whole)
        return whole.splitlines(keepends=True)


@dataclass(slots=True, kw_only=True)
class EffectFiles:
    """Copies the lines of keys that begin with `prefix` from the lab to the scenario's folder."""

    root: Path
    folder: Path
    prefix: str
    tails: dict[Path, Tail] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    wanted: dict[str, str] = field(default_factory=dict)
    accepted: dict[Path, Tail] = field(default_factory=dict)

    def begin(self) -> None:
        """Skip what earlier scenarios wrote."""
        for path in self._sources():
            self.tails[path] = Tail(path, path.stat().st_size)

    def look(self) -> None:
        """Copy what came, and learn which keys were accepted and which took effect."""
        for path in self._sources():
            lines = self.tails.setdefault(path, Tail(path)).more()
            own = [line for line in lines if self.prefix.encode() in line]
            self._copy(path, own)
            self.done |= {str(one["key"]) for one in _parsed(own) if one.get("event") == "effect"}
        for path in (self.folder / "witness").glob(f"*/{ACCEPTED}"):
            for one in _parsed(self.accepted.setdefault(path, Tail(path)).more()):
                self.wanted[str(one["key"])] = str(one["effect"])

    def missing(self) -> list[str]:
        """Accepted keys of classes A, B and C without an effect so far."""
        return sorted(k for k, kind in self.wanted.items() if kind != "D" and k not in self.done)

    def _sources(self) -> list[Path]:
        kept = self.root / KEPT
        return [path for path in self.root.rglob(EFFECTS) if kept not in path.parents]

    def _copy(self, source: Path, lines: list[bytes]) -> None:
        if not lines:
            return
        target = self.folder / "effects" / source.parent.relative_to(self.root) / EFFECTS
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab") as file:
            file.writelines(lines)


def _parsed(lines: list[bytes]) -> list[dict[str, Any]]:
    found = []
    for line in lines:
        try:
            one = json.loads(line)
        except ValueError:
            continue  # the checker counts torn lines
        if isinstance(one, dict):
            found.append(one)
    return found
