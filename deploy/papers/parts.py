"""Which paper has which generated parts, and whether they are fresh."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.papers import catalogue, configuration, protocol, resilience

REPOSITORY = Path(__file__).resolve().parents[2]

PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "docs/protocol.md": {
        "states": protocol.diagram,
        "envelope": protocol.example_envelope,
        "reconcile": protocol.decisions,
        "numbers": protocol.numbers,
    },
    "docs/configuration.md": {
        "box": configuration.box_reference,
        "control-plane": configuration.control_plane_reference,
    },
    "docs/resilience.md": {
        "modes": resilience.modes,
        "deeds": resilience.deeds,
        "stages": resilience.stages,
        "intervals": resilience.intervals,
    },
    "docs/tasks.md": {"catalogue": catalogue.catalogue},
}


def fresh(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """The text with its parts written anew; raises LookupError for a part without its marks."""
    for name, render in parts.items():
        start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        found = re.search(f"{re.escape(start)}.*?{re.escape(end)}", text, re.DOTALL)
        if found is None:
            raise LookupError(f"the marks of the part {name!r} are missing: {start} … {end}")
        text = f"{text[: found.start()]}{start}\n{render()}\n{end}{text[found.end() :]}"
    return text


def stale(root: Path = REPOSITORY) -> dict[Path, str]:
    """The new text of every paper that is not as it would be generated now."""
    papers = {root / name: parts for name, parts in PARTS.items()}
    new = {path: fresh(path.read_text(encoding="utf-8"), parts) for path, parts in papers.items()}
    return {path: text for path, text in new.items() if text != path.read_text(encoding="utf-8")}
