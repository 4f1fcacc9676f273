"""`python -m deploy.lab.scenario.lease_probe`: writes down what the grantor promises, and when.

It asks over the operator's way what the standby itself is told. Held against the starts that
the standby's tasks write, which are facts, not promises.
"""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer

from deploy.lab.files import read_stripped
from deploy.lab.scenario.witness import Witness, until_told

TIMEOUT_S = 2.0


def ready_file(out: Path) -> Path:
    """Exists as soon as the probe had its first answer: no start is missed from then on."""
    return out.with_suffix(".ready")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseProbe:
    """Asks for the promise that is live now."""

    site: str
    client: httpx.Client
    witness: Witness
    ready: Path

    def run(self, every_s: float, ended: threading.Event) -> None:
        """Ask until told to end; the first answer is said to be there."""
        while not ended.is_set():
            if self.ask():
                self.ready.touch()
            ended.wait(every_s)

    def ask(self) -> bool:
        """One question, whether it was answered; no promise and no answer write nothing.

        The promise is counted from the answer: whoever asked at the same moment may count it
        from no later.
        """
        try:
            answer = self.client.get("standby/permit")
        except httpx.HTTPError:
            return False
        now_s = time.monotonic()
        found = answer.json() if answer.is_success else {}
        if found.get("left_s", 0) > 0:
            self.witness.write(
                site=self.site,
                generation=found["generation"],
                ttl_s=found["left_s"],
                monotonic_s=now_s,
            )
        return answer.is_success


def main(
    site: Annotated[str, typer.Option(help="Site of the standby.")],
    api_url: Annotated[str, typer.Option(help="The control plane's API.")],
    token_file: Annotated[Path, typer.Option(help="File with the token of that site's agent.")],
    out: Annotated[Path, typer.Option(help="File to add to, named lease.jsonl.")],
    every_s: Annotated[float, typer.Option(help="Seconds between two questions.")] = 0.2,
) -> None:
    """Watch the lease until TERM."""
    ended = until_told()
    witness = Witness(out)
    headers = {"Authorization": f"Bearer {read_stripped(token_file)}"}
    with httpx.Client(base_url=api_url + "/", headers=headers, timeout=TIMEOUT_S) as client:
        probe = LeaseProbe(site=site, client=client, witness=witness, ready=ready_file(out))
        probe.run(every_s, ended)


if __name__ == "__main__":
    typer.run(main)
