"""The `dev` tasks: git on allowed repositories, and allowed commands.

What they may touch is the table `[dev]` of turtle.toml: roots, URL schemes and hosts, commands.
"""

from pydantic import JsonValue

from fleet.policy.effects import EffectClass
from tasks.base import fleet_task
from tasks.context import current_run
from tasks.devwork import command as commands
from tasks.devwork import git, gitclone


@fleet_task(capability="dev", effect=EffectClass.A, time_limit_s=930, soft_time_limit_s=900)
def git_log(url: str, limit: int = 20) -> dict[str, JsonValue]:
    """Show the newest commits of a repository.

    `url` is a path below a root, a file URL, or a URL of an allowed host; `limit` is 1 to 1000.
    Each commit has hash, author, time (when it was written, ISO 8601 UTC) and subject.
    """
    return git.log(url, limit)


@fleet_task(capability="dev", effect=EffectClass.A, time_limit_s=300, soft_time_limit_s=270)
def git_status(path: str) -> dict[str, JsonValue]:
    """Show branch, distance to upstream and changed files of a repository.

    At most 200 files are listed; `files_total` says how many there are. `ahead` and `behind`
    compare with what was fetched last, and are null without an upstream.
    """
    return git.status(path)


@fleet_task(capability="dev", effect=EffectClass.A, time_limit_s=930, soft_time_limit_s=900)
def git_fetch(path: str, remote: str = "origin") -> dict[str, JsonValue]:
    """Fetch a remote of a repository and list the refs that changed."""
    return git.fetch(path, remote)


@fleet_task(capability="dev", effect=EffectClass.A, time_limit_s=930, soft_time_limit_s=900)
def git_clone(url: str, name: str | None = None) -> dict[str, JsonValue]:
    """Clone a repository into the first root.

    The folder is `name`, or the last part of the URL. It appears when it is complete. A clone of
    the same URL that is there already counts as success (`existed` is true).
    """
    return gitclone.clone(url, name)


@fleet_task(capability="dev", effect=EffectClass.D, time_limit_s=3_600, soft_time_limit_s=3_540)
def run_command(
    command: str,
    arguments: list[str] = [],  # noqa: B006 - never changed; the enqueue form shows the default
    cwd: str | None = None,
    timeout_s: float | None = None,
    stdin: str | None = None,
    check: bool = True,
) -> dict[str, JsonValue]:
    """Run an allowed command and return its exit code and the tail of its output.

    `command` is a short name of `[dev] commands`; no shell reads the `arguments`. `cwd` is a
    folder below a root (default: an empty temporary one, which is also HOME). The command and
    everything that it started is ended after `timeout_s` or `[dev] max_time_s` seconds,
    whichever is less. Output and error stream are one, in the order written. The memory limit
    counts for each process. With `check`, an exit code other than 0, a signal or the time limit
    makes the run fail, with the last lines as its message; without, the result says so
    (`exit_code`, `signal`, `timed_out`).
    """
    run = current_run()
    asked = commands.Asked(
        command=command,
        arguments=arguments,
        cwd=cwd,
        timeout_s=timeout_s,
        stdin=stdin,
        run_id=run.run_id if run else "",
    )
    return commands.run_allowed(asked, check)
