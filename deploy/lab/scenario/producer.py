"""`python -m deploy.lab.scenario.producer`: hands in canaries and writes which were accepted.

It asks again with the same key until it has an answer, as a careful program does.
"""

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from deploy.lab.files import read_stripped
from deploy.lab.scenario.doors import ApiDoor, Door, HomeDoor, Taken, Wanted
from deploy.lab.scenario.witness import Witness, until_told
from fleet.policy.effects import EffectClass
from fleet.policy.errors import ConfigurationError, NetworkError

#: Between two questions for the same key.
AGAIN_AFTER_S = 0.2
#: After TERM, a key that was asked for still gets its answer, if it comes within this time.
LAST_ANSWER_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer:
    """A steady stream of calls through one door."""

    door: Door
    witness: Witness
    rate_per_s: float

    def run(self, calls: Iterator[Wanted], ended: threading.Event) -> None:
        """Hand in calls at the rate until told to end; a slow answer slows the stream down."""
        due_s = time.monotonic()
        for wanted in calls:
            if ended.wait(max(0.0, due_s - time.monotonic())):
                return
            self._hand_in(wanted, ended)
            due_s = max(due_s + 1 / self.rate_per_s, time.monotonic())

    def _hand_in(self, wanted: Wanted, ended: threading.Event) -> None:
        sent_s = time.monotonic()
        taken = self._insist(wanted, ended)
        if taken is not None:
            self.witness.write(
                id=taken.id,
                key=wanted.key,
                effect=wanted.effect.value,
                site=wanted.site,
                by=self.door.home,
                durability=taken.durability,
                sent_monotonic_s=sent_s,
                monotonic_s=time.monotonic(),
                accepted_at=time.time(),
            )

    def _insist(self, wanted: Wanted, ended: threading.Event) -> Taken | None:
        give_up_s: float | None = None
        pause = threading.Event()
        while give_up_s is None or time.monotonic() < give_up_s:
            try:
                return self.door.accept(wanted)
            except NetworkError:
                if ended.is_set() and give_up_s is None:
                    give_up_s = time.monotonic() + LAST_ANSWER_WITHIN_S
                pause.wait(AGAIN_AFTER_S)
        return None


def calls(prefix: str, classes: str, sleep_s: float, pins: tuple[str, ...]) -> Iterator[Wanted]:
    """Endless calls: the classes in turn; every fourth round is pinned, to each site in turn."""
    kinds = [EffectClass(letter) for letter in classes]
    sites = itertools.cycle(pins or ("",))
    for number in itertools.count():
        round_number, index = divmod(number, len(kinds))
        pinned = bool(pins) and round_number % 4 == 3
        yield Wanted(
            key=f"{prefix}-{number:06d}",
            effect=kinds[index],
            sleep_s=sleep_s,
            site=next(sites) if pinned else "",
        )


def main(
    out: Annotated[Path, typer.Option(help="File to add to, named accepted.jsonl.")],
    prefix: Annotated[str, typer.Option(help="Beginning of every key; new for each run.")],
    rate: Annotated[float, typer.Option(min=0.01, help="Calls a second.")] = 5.0,
    classes: Annotated[str, typer.Option(help="Effect classes in turn.")] = "ABCD",
    sleep_s: Annotated[float, typer.Option(help="Seconds between start and effect.")] = 0.05,
    pin: Annotated[list[str] | None, typer.Option(help="Site to pin some calls to.")] = None,
    api_url: Annotated[str | None, typer.Option(help="API; without it, this box's home.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the API's token.")] = None,
) -> None:
    """Hand in canaries until TERM."""
    ended = until_told()
    witness = Witness(out)
    producer = Producer(door=_door(api_url, token_file), witness=witness, rate_per_s=rate)
    producer.run(calls(prefix, classes, sleep_s, tuple(pin or ())), ended)


def _door(api_url: str | None, token_file: Path | None) -> Door:
    if api_url is None:
        return HomeDoor()
    if token_file is None:
        raise ConfigurationError("--api-url needs --token-file")
    return ApiDoor(api_url, read_stripped(token_file))


if __name__ == "__main__":
    typer.run(main)
