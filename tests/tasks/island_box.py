"""A box whose site is alone: real configuration, real journal, a real second worker; Redis is a
model that notes what reaches it."""

import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.policy.modes import Mode
from fleet.policy.states import RunStatus
from probes.agent.home import SiteHome
from tasks.app import app
from tasks.box import Box
from tasks.call import make_call
from tasks.producer import JournalAcceptor
from tasks.settings import SigningSettings, load_settings
from tests.environment import write_home_key, write_secret
from tests.tasks.devbox import eventually, free_port
from tests.tasks.home_rows import rows
from tests.tasks.paper import PaperBroker, quick_folder

WITHIN_S = 40.0


def write_box(folder: Path) -> Path:
    """The file of a box at DC1 that reaches nobody: every other address is closed."""
    write_secret(folder / "password", "not-used")
    public = {name: write_home_key(folder / f"{name}.key") for name in ("control", "dc1", "dc2")}
    homes = "".join(
        f'[homes.{name}]\npublic_key = "{key}"\nnumber = {number}\n'
        for number, (name, key) in enumerate(public.items())
    )
    file = folder / "turtle.toml"
    file.write_text(
        f"""site = "dc1"
box = "mini-1"
capabilities = ["dev", "udm"]
owned_capabilities = ["udm"]
state_dir = "{folder}"
agent_address = "127.0.0.1:{free_port()}"
time_scale = 0.05
[peers]
dc2 = "127.0.0.2:{free_port()}"
dc3 = "127.0.0.3:{free_port()}"
[broker]
sentinels = ["127.0.0.1:1"]
username = "worker-dc1"
password_file = "{folder}/password"
sentinel_password_file = "{folder}/password"
[control]
url = "http://127.0.0.1:1"
token_file = "{folder}/password"
[signing]
private_key_file = "{folder}/dc1.key"
{homes}""",
        encoding="utf-8",
    )
    return file


class Alone:
    """The home of DC1, stepped by the test as its agent does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.config = write_box(folder)
        with monkeypatch.context() as patch:
            patch.setenv("TURTLE_CONFIG", str(self.config))
            self.box = Box(load_settings())
        # For the processes of this box, which know no Django.
        monkeypatch.setenv("TURTLE_CONFIG", str(self.config))
        monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
        self.redis = PaperBroker()
        monkeypatch.setattr("probes.agent.home.RedisBroker", lambda *_: self.redis)
        self._homes: list[SiteHome] = []
        self.new_home()
        self.home.step(Mode.NORMAL)
        self.home.take_mail([])

    @property
    def home(self) -> SiteHome:
        return self._homes[-1]

    def new_home(self) -> None:
        """The agent was killed, and starts anew."""
        self.end_home()
        key = SigningSettings(private_key_file=self.folder / "dc1.key")
        self._homes.append(SiteHome(self.box, key))

    def accept(self, task: str, *args: Any, **options: Any) -> str:
        acceptor = JournalAcceptor(app, self.box)
        return str(acceptor.accept(make_call(app, task, list(args), **options)).id)

    def status(self, run: str) -> RunStatus:
        return RunStatus(self.row(run)["status"])

    def row(self, run: str) -> dict[str, Any]:
        return next(row for row in rows(self.box) if row["run_id"] == run)

    def lines(self, event: str, key: str) -> int:
        """How often an effect of this key was started, or written."""
        with contextlib.suppress(FileNotFoundError):
            texts = (self.folder / "effects.jsonl").read_text(encoding="utf-8").splitlines()
            return Counter((x["event"], x["key"]) for x in map(json.loads, texts))[event, key]
        return 0

    def step(self, mode: Mode) -> None:
        """One step of the agent's loops that look after claims and after the home."""
        self.box.claims.lose_orphans(_now())
        self.home.step(mode)

    def until(self, mode: Mode, happens: Callable[[], bool], what: object = "") -> None:
        """Step until it happens."""

        def look() -> bool:
            self.step(mode)
            return happens()

        assert eventually(look, WITHIN_S), what

    def finish(self, mode: Mode, *ended: str) -> None:
        """Step until these runs have ended."""
        self.until(mode, lambda: all(self.row(r)["finished_at"] for r in ended), ended)

    def worker_pid(self) -> int | None:
        return self.home._island._worker.pid

    def kill_worker(self) -> None:
        """As the kernel does when memory runs out: all of it, at once."""
        pid = self.worker_pid()
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)

    def waits(self) -> int:
        return len(list((self.folder / "island").glob("*.msg")))

    def end_home(self) -> None:
        for home in self._homes[-1:]:
            if self.worker_pid():
                with contextlib.suppress(ProcessLookupError):
                    self.kill_worker()
            home.close()

    def close(self) -> None:
        self.end_home()
        self.box.database.close()


def _now() -> Any:
    from probes.agent.reporter import utc_now

    return utc_now()


@contextlib.contextmanager
def alone_box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Alone]:
    # Celery reads the configuration once a process: that must be the suite's, not this box's.
    assert app.conf.task_ignore_result
    with quick_folder() as folder:
        made = Alone(folder, monkeypatch)
        try:
            yield made
        finally:
            made.close()
