"""`python -m deploy.lab.scenario.writer_probe`: knocks at one Redis and writes what it takes.

One connection, no Sentinel, no retries: it shows what this Redis answers to anybody who still
believes that it leads.
"""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import redis
import typer
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.lab.files import read_stripped
from deploy.lab.scenario.witness import Witness, until_told

#: A list beside kombu's own names, which every Redis user of the control plane may write.
PROBE_LIST = "_kombu.lab-writer-probe"
KEPT = 1000
ANSWER_WITHIN_S = 1.0
WAIT_MS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterProbe:
    """Writes to one Redis and asks how many replicas have it."""

    site: str
    client: redis.Redis
    witness: Witness

    def run(self, every_s: float, ended: threading.Event) -> None:
        """Knock until told to end."""
        number = 0
        while not ended.wait(every_s):
            number += 1
            self.knock(number)

    def knock(self, number: int) -> None:
        """One write. A refusal (replica, NOREPLICAS) or silence is no acknowledgement."""
        sent_s = time.monotonic()
        try:
            with self.client.pipeline(transaction=True) as both:
                both.lpush(PROBE_LIST, f"{self.site}:{number}")
                both.ltrim(PROBE_LIST, 0, KEPT - 1)
                both.info("replication")
                replication = both.execute()[-1]
            taken_s = time.monotonic()
            replicas = self._replicas()
        except redis.RedisError:
            return
        self.witness.write(
            site=self.site,
            sent_s=sent_s,
            monotonic_s=taken_s,
            waited_s=time.monotonic(),
            replicas=replicas,
            replication_id=str(replication["master_replid"]),
        )

    def _replicas(self) -> int:
        try:
            return int(self.client.wait(1, WAIT_MS))
        except redis.RedisError:
            return 0


def probe_client(address: str, user: str, password_file: Path) -> redis.Redis:
    """One connection without retries to `host:port`."""
    host, _, port = address.rpartition(":")
    return redis.Redis(
        host=host,
        port=int(port),
        username=user,
        password=read_stripped(password_file),
        decode_responses=True,
        socket_timeout=ANSWER_WITHIN_S,
        socket_connect_timeout=ANSWER_WITHIN_S,
        retry=Retry(NoBackoff(), 0),
    )


def main(
    site: Annotated[str, typer.Option(help="Site of this Redis.")],
    address: Annotated[str, typer.Option(help="host:port")],
    user: Annotated[str, typer.Option(help="Redis user.")],
    password_file: Annotated[Path, typer.Option(help="File with its password.")],
    out: Annotated[Path, typer.Option(help="File to add to, named acks.jsonl.")],
    every_s: Annotated[float, typer.Option(help="Seconds between two writes.")] = 0.05,
) -> None:
    """Knock at one Redis until TERM."""
    ended = until_told()
    witness = Witness(out)
    client = probe_client(address, user, password_file)
    try:
        WriterProbe(site=site, client=client, witness=witness).run(every_s, ended)
    finally:
        client.close()


if __name__ == "__main__":
    typer.run(main)
