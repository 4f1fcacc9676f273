"""Progress lines: one a step, with the time it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Progress:
    """Says on the terminal (or in a log) what is being done, and for how long it took."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        """One line at once."""
        self.console.print(text, highlight=False, markup=False)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A step that may take a while: its title, then a line with its end and seconds."""
        began = time.monotonic()
        if not self.console.is_terminal:
            self.say(f"{title} …")
            yield
        else:
            with self.console.status(title):
                yield
        self.say(f"✓ {title} ({time.monotonic() - began:.1f} s)")
