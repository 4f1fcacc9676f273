"""A box on which a program enqueues, for the tests of producer and handles."""

from collections.abc import Iterator

import pytest

from tasks.app import app
from tasks.box import Box
from tasks.producer import JournalAcceptor
from tasks.settings import load_settings
from tests.tasks.paper import quick_folder


@pytest.fixture
def box() -> Iterator[Box]:
    with quick_folder() as folder:
        made = Box(load_settings(site="dc1", box="mini-1", state_dir=folder))
        yield made
        made.database.close()


@pytest.fixture
def program(box: Box, monkeypatch: pytest.MonkeyPatch) -> JournalAcceptor:
    """This process is a program on the box."""
    app.set_current()  # as in a process that has no other app
    acceptor = JournalAcceptor(app, box)
    monkeypatch.setattr(app, "acceptor", acceptor)
    return acceptor
