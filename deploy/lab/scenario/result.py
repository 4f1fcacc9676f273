"""The outcome of one scenario."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """`broken`: the case could not be played, which says nothing about the fleet."""

    GREEN = "green"
    RED = "red"
    BROKEN = "broken"


@dataclass(kw_only=True)
class Result:
    """What one performance showed. Times in seconds; `why` is empty when it is green."""

    name: str
    sentence: str
    seed: int
    time_scale: float
    status: Status
    why: list[str]
    figures: dict[str, Any]
    folder: str
    seconds: float = 0.0
    timeline: list[dict[str, Any]] = field(default_factory=list)
    rules: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"status": str(self.status)}
