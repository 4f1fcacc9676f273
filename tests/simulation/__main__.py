"""`python -m tests.simulation --hours 24 --seed 1`: simulate, and say what came of it.

Exits with 1 when a check failed: it prints the seed, the time and the last events, and the same
seed shows the same again.
"""

import argparse
import json
import sys

from tests.simulation.run import CHUNK_HOURS, Result, simulate


def main() -> int:
    options = _parser().parse_args()
    try:
        result = simulate(
            options.seed,
            options.hours,
            options.faults,
            leaps=not options.no_leaps,
            chunk_hours=options.chunk,
        )
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(
        json.dumps(result.summary(), indent=2) + "\n" if options.json else _told(result)
    )
    return 1 if result.violation else 0


def _told(result: Result) -> str:
    if result.violation:
        return "\n".join((*result.last, "", result.violation, result.again, ""))
    lines = [f"{name}: {value}" for name, value in result.summary().items()]
    return "\n".join((*lines, ""))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="simulated hours")
    parser.add_argument("--seed", type=int, default=1, help="of the first world")
    parser.add_argument(
        "--faults",
        default="all",
        help="all, single, lease-loss, flap, micro, loss-only, none, or kinds with commas",
    )
    parser.add_argument(
        "--chunk", type=float, default=CHUNK_HOURS, help="hours of one world; the next has seed + 1"
    )
    parser.add_argument("--no-leaps", action="store_true", help="simulate calm in full, too")
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
