"""run_command on real programs: results, limits, and that nothing survives its end."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded

from fleet.policy.errors import (
    BadArgumentsError,
    ConfigurationError,
    FleetError,
    RefusedError,
    TheirError,
    TooLargeError,
    UnknownNameError,
)
from tasks import dev
from tasks.context import CurrentRun, set_current_run
from tasks.devwork import process
from tests.tasks.devbox import Box, eventually, make_box, running

#: A child in the group, one in a session of its own, one that is deaf to SIGTERM, and an orphan.
FAMILY = (
    "sleep $0 & setsid sleep $0 & (trap '' TERM; sleep $0; sleep $0) & (setsid sleep $0 &) ; "
    "echo started; "
)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    monkeypatch.setattr(process, "GRACE_S", 0.4)
    with make_box(tmp_path, monkeypatch) as box:
        box.configure(
            commands=f'{{ sh = "/bin/sh", cat = "/bin/cat", python = "{sys.executable}", '
            'missing = "/nonexistent/x", text = "/etc/passwd", relative = "bin/sh" }',
            max_memory_bytes=str(512 << 20),
            max_output_bytes="1000",
            max_time_s="20",
        )
        yield box


@pytest.fixture
def marker() -> str:
    return f"77777.{uuid.uuid4().int % 10**12}"


def run(command: str, *arguments: str, **options: Any) -> dict[str, Any]:
    result: dict[str, Any] = dev.run_command.run(command, list(arguments), **options)
    return result


def test_a_command_ends_well_and_says_so(box: Box) -> None:
    result = run("sh", "-c", "echo out; echo err >&2; echo $0", "a b;$(x)")
    assert result["exit_code"] == 0
    assert result["signal"] is None
    assert result["output_tail"] == "out\nerr\na b;$(x)\n"
    assert result["output_bytes"] == len(result["output_tail"])
    assert not result["truncated"]
    assert not result["timed_out"]
    assert 0 < result["duration_s"] < 20


def test_a_bad_exit_code_fails_the_run_with_the_last_lines(box: Box) -> None:
    with pytest.raises(TheirError, match=r"(?s)sh ended with exit code 3.*no such flag") as error:
        run("sh", "-c", "echo no such flag >&2; exit 3")
    assert not error.value.transient


def test_without_check_the_exit_code_is_a_result(box: Box) -> None:
    assert run("sh", "-c", "exit 3", check=False)["exit_code"] == 3


def test_a_signal_is_told_by_its_name(box: Box) -> None:
    result = run("sh", "-c", "kill -SEGV $$", check=False)
    assert (result["exit_code"], result["signal"]) == (None, "SIGSEGV")


def test_stdin_is_what_was_given_or_empty(box: Box) -> None:
    assert run("cat", stdin="grüße\n")["output_tail"] == "grüße\n"
    assert run("cat")["output_bytes"] == 0


def test_the_environment_is_scrubbed(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    output = run("sh", "-c", "env; pwd; ls -A")["output_tail"]
    names = {line.partition("=")[0] for line in output.splitlines() if "=" in line}
    assert names <= {"PATH", "HOME", "LANG", "PWD", "OLDPWD", "SHLVL", "_"}
    home = next(line[5:] for line in output.splitlines() if line.startswith("HOME="))
    assert home == output.splitlines()[-1], "the home is the working folder, and empty"
    assert not Path(home).exists()


def test_the_command_knows_its_run(box: Box) -> None:
    set_current_run(CurrentRun(run_id="r-1", token=7, attempt=1, task="dev.run_command", key=""))
    try:
        assert run("sh", "-c", "echo $TURTLE_RUN_ID")["output_tail"] == "r-1\n"
    finally:
        set_current_run(None)


def test_the_working_folder_lies_below_a_root(box: Box) -> None:
    assert run("sh", "-c", "pwd", cwd=str(box.root))["output_tail"] == f"{box.root}\n"
    (box.root / "file").touch()
    for cwd in (str(box.outside), f"{box.root}/..", f"{box.root}/file", "relative"):
        with pytest.raises(RefusedError):
            run("sh", "-c", "pwd", cwd=cwd)


@pytest.mark.parametrize(
    ("command", "arguments", "options", "error"),
    [
        ("bash", [], {}, UnknownNameError),
        ("/bin/sh", [], {}, UnknownNameError),
        (["sh"], [], {}, BadArgumentsError),
        ("missing", [], {}, ConfigurationError),
        ("text", [], {}, ConfigurationError),
        ("relative", [], {}, ConfigurationError),
        ("sh", "-c", {}, BadArgumentsError),
        ("sh", None, {}, BadArgumentsError),
        ("sh", ["a", 1], {}, BadArgumentsError),
        ("sh", ["a\0b"], {}, BadArgumentsError),
        ("sh", ["\udcff"], {}, BadArgumentsError),
        ("sh", ["x"] * 1001, {}, BadArgumentsError),
        ("sh", ["x" * 33_000], {}, TooLargeError),
        ("cat", [], {"stdin": "x" * ((1 << 20) + 1)}, TooLargeError),
        ("cat", [], {"stdin": 7}, BadArgumentsError),
        ("cat", [], {"timeout_s": 0}, BadArgumentsError),
        ("cat", [], {"timeout_s": float("nan")}, BadArgumentsError),
        ("cat", [], {"timeout_s": "9"}, BadArgumentsError),
        ("cat", [], {"timeout_s": True}, BadArgumentsError),
    ],
)
def test_bad_calls_are_refused(
    box: Box, command: Any, arguments: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        dev.run_command.run(command, arguments, **options)


def test_an_unknown_command_names_the_near_ones(box: Box) -> None:
    with pytest.raises(UnknownNameError, match="did you mean python"):
        run("pyton")


def test_a_program_that_the_kernel_cannot_start_is_a_wrong_configuration(box: Box) -> None:
    script = box.root / "script"
    script.write_text("#!/nonexistent/interpreter\n", encoding="utf-8")
    script.chmod(0o755)
    box.configure(commands=f'{{ script = "{script}" }}')
    with pytest.raises(ConfigurationError, match="does not start"):
        run("script")


def test_only_the_tail_of_much_output_is_kept(box: Box) -> None:
    result = run("python", "-c", "print('x' * 3_000_000); print('the end')")
    assert result["output_bytes"] == 3_000_009
    assert result["truncated"]
    assert len(result["output_tail"]) == 1000
    assert result["output_tail"].endswith("x\nthe end\n")


def test_output_that_is_no_text_is_replaced(box: Box) -> None:
    assert run("sh", "-c", r"printf 'a\377b'")["output_tail"] == "a\ufffdb"


def test_memory_and_core_files_are_limited(box: Box) -> None:
    result = run("python", "-c", "bytearray(1 << 30)", check=False)
    assert result["exit_code"] == 1
    assert "MemoryError" in result["output_tail"]
    code = "import resource as r; print(r.getrlimit(r.RLIMIT_CORE), r.getrlimit(r.RLIMIT_AS))"
    assert run("python", "-c", code)["output_tail"] == f"(0, 0) {(512 << 20, 512 << 20)}\n"


def test_signals_are_as_a_program_expects_them(box: Box) -> None:
    code = (
        "import signal as s; print(s.getsignal(s.SIGTERM) == s.SIG_DFL, "
        "s.getsignal(s.SIGPIPE), s.pthread_sigmask(s.SIG_BLOCK, []))"
    )
    assert run("python", "-c", code)["output_tail"].startswith("True")
    assert run("python", "-c", code)["output_tail"].endswith("set()\n")


def test_at_the_time_limit_the_whole_family_is_ended(box: Box, marker: str) -> None:
    result = run("sh", "-c", FAMILY + "sleep $0", marker, timeout_s=0.5, check=False)
    assert result["timed_out"]
    assert result["signal"] == "SIGTERM"
    assert result["output_tail"].startswith("started\n")
    assert result["duration_s"] < 10
    assert running(marker) == 0


def test_the_site_s_time_limit_counts_when_it_is_less(box: Box) -> None:
    box.configure(max_time_s="0.3")
    with pytest.raises(TheirError, match=r"longer than its limit of 0\.3 s"):
        run("sh", "-c", "sleep 30", timeout_s=3600)


def test_endless_output_ends_at_the_time_limit(box: Box) -> None:
    result = run("sh", "-c", "while :; do echo spam; done", timeout_s=0.3, check=False)
    assert result["timed_out"]
    assert result["duration_s"] < 5


def test_what_a_finished_command_left_behind_is_ended(box: Box, marker: str) -> None:
    assert run("sh", "-c", FAMILY, marker)["exit_code"] == 0
    assert running(marker) == 0


def test_a_command_that_kills_its_supervisor_dies_with_it(box: Box, marker: str) -> None:
    with pytest.raises(FleetError, match="how /bin/sh ended is not known"):
        run("sh", "-c", "kill -KILL $PPID; exec sleep $0", marker)
    assert eventually(lambda: running(marker) == 0)


def test_a_small_fork_bomb_is_ended(box: Box, marker: str) -> None:
    bomb = "n=0; while [ $n -lt 40 ]; do n=$((n+1)); (setsid sleep $0 &); done; wait; sleep $0"
    assert run("sh", "-c", bomb, marker, timeout_s=0.6, check=False)["timed_out"]
    assert running(marker) == 0


@pytest.mark.parametrize("interruption", [SoftTimeLimitExceeded, KeyboardInterrupt])
def test_an_interrupted_task_leaves_nothing_running(
    box: Box, marker: str, interruption: type[BaseException]
) -> None:
    def interrupt(*_: object) -> None:
        raise interruption

    def strike() -> None:
        if eventually(lambda: running(marker) >= 4):
            os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    thread = threading.Thread(target=strike)
    thread.start()
    try:
        with pytest.raises(interruption):
            run("sh", "-c", FAMILY + "sleep $0", marker)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert running(marker) == 0


def test_a_killed_worker_leaves_nothing_running(box: Box, marker: str) -> None:
    code = (
        "import sys; from tasks import dev; "
        f"dev.run_command.run('sh', ['-c', {FAMILY + 'sleep $0'!r}, '77777.' + sys.argv[1]])"
    )
    worker = subprocess.Popen([sys.executable, "-c", code, marker.partition(".")[2]])
    try:
        assert eventually(lambda: running(marker) >= 4, within_s=20)
    finally:
        worker.kill()
        worker.wait()
    assert eventually(lambda: running(marker) == 0)
