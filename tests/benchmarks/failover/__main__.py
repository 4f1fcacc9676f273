"""`make failover`: takes the broker's master away again and again, and measures the standstill.

Needs root, ip, nft and nsenter: each site is a network namespace. A round takes about a minute.
"""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.lab.errors import LabError
from tests.benchmarks.failover import figures
from tests.benchmarks.failover.figures import Round
from tests.benchmarks.failover.ground import KINDS, Ground, ground
from tests.benchmarks.failover.rounds import Play
from tests.benchmarks.failover.switches import Switches

RATE_PER_S = 20.0


def main() -> int:
    options = _options()
    kinds = options.kind or list(KINDS)
    try:
        with ground(options.folder, options.logs) as running:
            rounds = play(running, kinds, options.rounds, options.rate)
    except LabError as error:
        print(f"failover: {error}", file=sys.stderr)  # noqa: T201 - a program's answer
        return 1
    result = {kind: figures.together([r for r in rounds if r.kind == kind]) for kind in kinds}
    if options.json:
        every = [r.as_json() for r in rounds]
        json.dump({"kinds": result, "rounds": every}, sys.stdout, indent=2)
    else:
        show(result)
    return 0


def play(running: Ground, kinds: list[str], count: int, rate_per_s: float) -> list[Round]:
    """All rounds of each kind, one after the other; each is told on stderr when it is over."""
    found: list[Round] = []
    with Switches(running.stage.brokers) as switches:
        for number in range(count):
            for kind in kinds:
                done = Play(running, switches, kind, rate_per_s, number).run()
                found.append(done)
                print(json.dumps(done.as_json()), file=sys.stderr, flush=True)  # noqa: T201
    return found


def show(result: dict[str, dict[str, object]]) -> None:
    """One column a kind."""
    table = Table(title="The broker's master goes")
    table.add_column("")
    for kind in result:
        table.add_column(kind)
    for name in next(iter(result.values())):
        table.add_row(name, *(json.dumps(each[name]) for each in result.values()))
    Console(width=200).print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", action="append", choices=KINDS, help="default: all three")
    parser.add_argument("--rounds", type=int, default=3, help="of each kind")
    parser.add_argument("--rate", type=float, default=RATE_PER_S, help="tasks a second")
    parser.add_argument("--folder", type=Path, help="the lab's folder; default: a temporary one")
    parser.add_argument("--logs", type=Path, help="where to copy logs and ledger to at the end")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
