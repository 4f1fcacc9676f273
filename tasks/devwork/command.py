"""Run one of the executables that the site allows, within limits."""

import math
import os
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from fleet.policy import routing
from fleet.policy.errors import (
    BadArgumentsError,
    ConfigurationError,
    RefusedError,
    TheirError,
    TooLargeError,
)
from tasks.devwork import paths
from tasks.devwork.process import Command, Finished, Limits, run
from tasks.settings import settings

MAX_ARGUMENTS = 1000
MAX_ARGUMENT_BYTES = 32_768  # of all arguments together
MAX_STDIN_BYTES = 1 << 20
#: Shorter than the task's own time limit, so that the result can still be written.
LONGEST_S = 3_500.0
MESSAGE_LINES, MESSAGE_CHARACTERS = 10, 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A command as the caller asked for it; see the task for the meaning."""

    command: str
    arguments: Sequence[str] = ()
    cwd: str | None = None
    timeout_s: float | None = None
    stdin: str | None = None
    run_id: str = ""


def run_allowed(asked: Asked, check: bool) -> dict[str, JsonValue]:
    """Run the command; with `check`, anything but exit code 0 raises TheirError."""
    argv = [str(_executable(asked.command)), *_arguments(asked.arguments)]
    limits = _limits(asked.timeout_s)
    stdin = _encoded(asked.stdin or "", "stdin", MAX_STDIN_BYTES)
    with tempfile.TemporaryDirectory(prefix="turtle-home-", ignore_cleanup_errors=True) as home:
        cwd = Path(home) if asked.cwd is None else _folder(asked.cwd)
        env = _environment(home, asked.run_id)
        finished = run(Command(argv=argv, cwd=cwd, env=env, stdin=stdin, merge=True), limits)
    if check and (finished.timed_out or finished.exit_code != 0):
        raise TheirError(_complaint(asked.command, finished, limits))
    return _result(finished)


def _executable(name: object) -> Path:
    commands = settings().dev.commands
    if not isinstance(name, str):
        raise BadArgumentsError("command must be a text, one of [dev] commands")
    if not commands:
        raise RefusedError("no command is allowed on this box; add some to [dev] commands")
    path = commands[routing.known("command", name, commands)]
    if not path.is_absolute() or not path.is_file() or not os.access(path, os.X_OK):
        raise ConfigurationError(
            f"[dev] commands: {name} = {str(path)!r} must be the absolute path of an executable, "
            "as in /usr/bin/make"
        )
    return path


def _arguments(arguments: object) -> list[str]:
    if not isinstance(arguments, list | tuple) or len(arguments) > MAX_ARGUMENTS:
        raise BadArgumentsError(f"arguments must be a list of at most {MAX_ARGUMENTS} texts")
    texts = [_argument(number, argument) for number, argument in enumerate(arguments)]
    _encoded("".join(texts), "arguments", MAX_ARGUMENT_BYTES)
    return texts


def _argument(number: int, argument: object) -> str:
    if not isinstance(argument, str):
        raise BadArgumentsError(f"arguments[{number}] must be a text")
    if "\0" in argument:
        raise BadArgumentsError(f"arguments[{number}] must not hold the character NUL")
    return argument


def _encoded(text: object, what: str, limit_bytes: int) -> bytes:
    if not isinstance(text, str):
        raise BadArgumentsError(f"{what} must be a text")
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise BadArgumentsError(f"{what} holds half of a character (a lone surrogate)") from error
    if len(data) > limit_bytes:
        raise TooLargeError(len(data), limit_bytes)
    return data


def _folder(text: str) -> Path:
    folder = paths.allowed_path(text)
    if not folder.is_dir():
        raise RefusedError(f"cwd {text!r} is not a folder")
    return folder


def _limits(timeout_s: object) -> Limits:
    dev = settings().dev
    longest_s = min(dev.max_time_s, LONGEST_S)
    if timeout_s is None:
        timeout_s = longest_s
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
        raise BadArgumentsError("timeout_s must be a number of seconds")
    if not (math.isfinite(timeout_s) and timeout_s > 0):
        raise BadArgumentsError("timeout_s must be above 0")
    return Limits(
        timeout_s=min(timeout_s, longest_s),
        keep_bytes=dev.max_output_bytes,
        memory_bytes=dev.max_memory_bytes,
    )


def _environment(home: str, run_id: str) -> dict[str, str]:
    env = {"PATH": settings().dev.command_path, "HOME": home, "LANG": "C.UTF-8"}
    return {**env, "TURTLE_RUN_ID": run_id} if run_id else env


def _result(finished: Finished) -> dict[str, JsonValue]:
    code = finished.exit_code
    return {
        "exit_code": code if code >= 0 else None,
        "signal": _signal_name(-code) if code < 0 else None,
        "timed_out": finished.timed_out,
        "duration_s": round(finished.duration_s, 3),
        "output_tail": finished.stdout.text,
        "output_bytes": finished.stdout.total_bytes,
        "truncated": finished.stdout.truncated,
    }


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal


def _complaint(name: str, finished: Finished, limits: Limits) -> str:
    if finished.timed_out:
        end = f"took longer than its limit of {limits.timeout_s:g} s and was ended"
    elif finished.exit_code < 0:
        end = f"was ended by {_signal_name(-finished.exit_code)}"
    else:
        end = f"ended with exit code {finished.exit_code}"
    lines = finished.stdout.text.rstrip().splitlines()[-MESSAGE_LINES:]
    tail = "\n".join(lines)[-MESSAGE_CHARACTERS:]
    return f"{name} {end}" + (f"; its last lines:\n{tail}" if tail else "; it wrote nothing")
