"""`python -m tests.benchmarks.failover.producer`: a program that hands in tasks at the ledger.

It runs Django in its own process, with the control plane's configuration: what it measures is
the ledger's answer alone, without HTTP. No broker takes part in that.
"""

import argparse
from pathlib import Path

import django

from deploy.lab.scenario.doors import HomeDoor
from deploy.lab.scenario.producer import Producer, calls
from deploy.lab.scenario.witness import Witness, until_told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file, named accepted.jsonl")
    parser.add_argument("--prefix", required=True, help="beginning of every key")
    parser.add_argument("--rate", type=float, required=True, help="calls a second")
    options = parser.parse_args()
    ended = until_told()
    django.setup()
    producer = Producer(door=HomeDoor(), witness=Witness(options.out), rate_per_s=options.rate)
    producer.run(calls(options.prefix, "ABCD", 0.0, ()), ended)


if __name__ == "__main__":
    main()
