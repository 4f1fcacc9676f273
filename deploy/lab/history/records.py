"""The lines that witnesses write, and the reading of a whole folder of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fleet.policy.effects import EffectClass
from fleet.policy.errors import ConfigurationError

EVERY_FILE = {
    "accepted": "accepted.jsonl",
    "effects": "effects.jsonl",
    "lease": "lease.jsonl",
    "alone": "alone.jsonl",
    "acks": "acks.jsonl",
}


class Line(BaseModel):
    """One line of a witness. More keys than these may stand in it.

    `monotonic_s` is the machine's monotonic clock, which all processes of one machine share and
    which a skewed wall clock does not move.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    monotonic_s: float


class Accepted(Line):
    """A task that a producer was told is accepted.

    `by` is the home that took it; `durability` 1 is one disk, 2 is more than one site.
    """

    id: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1)]
    effect: EffectClass
    by: str = ""
    durability: int = 1
    sent_monotonic_s: float | None = None


class Effect(Line):
    """A start or an effect, as the task itself wrote it on its box."""

    key: str
    event: Literal["start", "effect"]
    effect: Annotated[EffectClass, Field(alias="class")]
    run_id: str
    token: int
    site: str
    box: str

    @property
    def place(self) -> tuple[str, str]:
        """Site and box: each has one sink and one journal."""
        return (self.site, self.box)


class Grant(Line):
    """A lease that was given or renewed at this moment, for the workers of `site`."""

    site: str
    generation: int
    ttl_s: Annotated[float, Field(gt=0)]


class Alone(Line):
    """The moment at which a site was cut from all others, or could reach one again."""

    site: str
    event: Literal["alone", "joined"]


class Ack(Line):
    """A write that one Redis accepted; `monotonic_s` is when it said so.

    `replicas` is what WAIT answered; `replication_id` names the master's reign.
    """

    site: str
    sent_s: float
    replicas: int
    replication_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that the witnesses of one folder wrote, each kind in the order of its files."""

    accepted: list[Accepted] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    alone: list[Alone] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    unreadable: tuple[str, ...] = ()


L = TypeVar("L", bound=Line)


def read_history(folder: Path) -> History:
    """Read every witness's file below `folder`.

    Raises ConfigurationError when no producer wrote there: nothing would be checked, and the
    answer "no violation" would be worth nothing.
    """
    bad: list[str] = []
    history = History(
        accepted=list(_lines(folder, "accepted", Accepted, bad)),
        effects=list(_lines(folder, "effects", Effect, bad)),
        grants=list(_lines(folder, "lease", Grant, bad)),
        alone=list(_lines(folder, "alone", Alone, bad)),
        acks=list(_lines(folder, "acks", Ack, bad)),
    )
    if not history.accepted:
        raise ConfigurationError(
            f"no accepted tasks below {folder}: name the folder of a run with producers"
        )
    return History(
        accepted=history.accepted,
        effects=history.effects,
        grants=history.grants,
        alone=history.alone,
        acks=history.acks,
        unreadable=tuple(bad),
    )


def _lines(folder: Path, what: str, kind: type[L], bad: list[str]) -> Iterator[L]:
    """The lines of all files of one kind; a torn one (full disk, crash) is named in `bad`."""
    for path in sorted(folder.rglob(EVERY_FILE[what])):
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                try:
                    yield kind.model_validate_json(text)
                except ValidationError:
                    if text.strip():
                        bad.append(f"{path.relative_to(folder)}:{number}")
