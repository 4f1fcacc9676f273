"""Threads that do something at once, each with a database connection of its own."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.db import connection, connections


@contextlib.contextmanager
def shared_database(folder: Path) -> Iterator[None]:
    """Threads see what was committed so far.

    SQLite's test database is in memory, where threads do not wait for each other as they do in a
    file: they get a copy in a file, with the settings of production.
    """
    values: dict[str, Any] = connections.settings["default"]
    usual = values["NAME"]
    if connection.vendor == "sqlite":
        file = folder / "race.sqlite3"
        with contextlib.closing(sqlite3.connect(file)) as copy:
            connection.connection.backup(copy)
        values["NAME"] = str(file)
    try:
        yield
    finally:
        values["NAME"] = usual


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """The answers (or exceptions) of all works, started at the same moment."""
    start = threading.Barrier(len(works))
    answers: list[Any] = [None] * len(works)

    def run(number: int, work: Callable[[], Any]) -> None:
        try:
            start.wait(10)
            answers[number] = work()
        except Exception as error:  # the boundary of a thread: the test looks at it
            answers[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers
