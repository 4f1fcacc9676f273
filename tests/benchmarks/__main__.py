"""`make bench`: the fleet against plain Celery, in one run, as ratios with their spread."""

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.lab.state import LabState
from tests.benchmarks import measures, stage

CONTROL_PLANE = ("control", "flower", "agent", "redis", "sentinel")
LIMIT_BYTES = 300 * 1024 * 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each comparison")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    with stage.fleet() as (state, folder):
        memory = memory_table(state)
        result = measure(state, folder, options.rounds) | {"memory": memory, "machine": machine()}
    if options.json:
        json.dump(result, sys.stdout, indent=2)
    else:
        show(result)
    return 0


def measure(state: LabState, folder: Path, rounds: int) -> dict[str, object]:
    row, latency = measures.latency(folder)
    rows = [
        measures.one_call(rounds),
        measures.many_calls(rounds),
        row,
        measures.drain(state, folder, max(3, rounds // 2)),
    ]
    return {"comparisons": [asdict(r) for r in rows], "latency": latency}


def memory_table(state: LabState) -> dict[str, dict[str, int]]:
    """Resident and proportional bytes of every process of the lab, by site/name."""
    table = {}
    for (site, name), record in state.records().items():
        if record.part_of is not None:
            continue  # counted with the process that started it
        rss, pss = stage.memory_bytes(record.pid)
        table[f"{site}/{name}"] = {"rss_bytes": rss, "pss_bytes": pss}
    return table


def machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }


def show(result: dict[str, object]) -> None:
    console = Console()
    table = Table(title="Turtle Fleet against plain Celery, same Redis, same machine, same run")
    for name in ("measured", "ours", "plain", "ratio", "middle half", "target", "reached"):
        table.add_column(name)
    for row in result["comparisons"]:  # type: ignore[attr-defined]
        low, high = row["spread"]
        table.add_row(
            row["what"],
            f"{row['ours']:.2f} {row['unit']}",
            f"{row['plain']:.2f} {row['unit']}",
            f"{row['ratio']:.2f}",
            f"{low:.2f} to {high:.2f}",
            row["target"],
            "yes" if row["reached"] else "no",
        )
    console.print(table)
    console.print("Latency, idle fleet:", result["latency"])
    show_memory(console, result["memory"])  # type: ignore[arg-type]
    console.print(result["machine"])


def show_memory(console: Console, memory: dict[str, dict[str, int]]) -> None:
    table = Table(title="Memory (MB)")
    for name in ("process", "RSS", "PSS"):
        table.add_column(name)
    for name, value in memory.items():
        table.add_row(name, *(f"{value[k] / 1e6:.0f}" for k in ("rss_bytes", "pss_bytes")))
    control = [
        v["pss_bytes"] for n, v in memory.items() if n in {f"dc3/{p}" for p in CONTROL_PLANE}
    ]
    table.add_row("control plane in all", "", f"{sum(control) / 1e6:.0f}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
