"""The rules of the house that a machine can check."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("fleet", "tasks", "probes", "deploy", "turtle_site")
#: Standard library modules that only make values; nothing in them reads a clock or a file.
VALUE_MODULES = {
    "collections",
    "collections.abc",
    "dataclasses",
    "datetime",
    "difflib",
    "enum",
    "functools",
    "itertools",
    "json",
    "math",
    "re",
    "statistics",
    "typing",
}
MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 40


def product_files() -> list[Path]:
    files = [p for top in PRODUCT for p in (ROOT / top).rglob("*.py")]
    return sorted(p for p in files if "migrations" not in p.parts)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module or "")
    return found


def run(*command: str) -> None:
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


def test_policy_imports_values_only() -> None:
    for path in (ROOT / "fleet" / "policy").glob("*.py"):
        foreign = {
            name
            for name in imports(path)
            if name not in VALUE_MODULES and not name.startswith("fleet.policy")
        }
        assert not foreign, f"{path.name} imports {foreign}"


def test_policy_reads_no_clock() -> None:
    for path in (ROOT / "fleet" / "policy").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for call in ("datetime.now", "datetime.utcnow", "date.today", "open("):
            assert call not in text, f"{path.name} calls {call}"


def test_import_contracts() -> None:
    run(str(Path(sys.executable).parent / "lint-imports"))


def test_fleet_package_is_empty() -> None:
    """Workers import `fleet.policy` without Django."""
    assert (ROOT / "fleet" / "__init__.py").read_text(encoding="utf-8").strip() == ""


def too_large(path: Path) -> list[str]:
    text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
    lines = text.count("\n")
    found = [f"{name} has {lines} lines"] if lines > MOST_LINES_OF_A_FILE else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > MOST_LINES_OF_A_FUNCTION:
                found.append(f"{name}: {node.name} has {length} lines")
    return found


def test_small_rooms() -> None:
    assert [line for path in product_files() for line in too_large(path)] == []


def test_migrations_are_complete() -> None:
    run(sys.executable, "-m", "tests.manage", "makemigrations", "--check", "--dry-run")


def test_ruff() -> None:
    run(sys.executable, "-m", "ruff", "check", ".")


def test_ruff_format() -> None:
    run(sys.executable, "-m", "ruff", "format", "--check", *PRODUCT, "manage.py", "tests")


@pytest.mark.timeout(400)
def test_mypy_strict() -> None:
    run(sys.executable, "-m", "mypy", *PRODUCT, "manage.py", "tests")
