"""Run git safely: scrubbed environment, no shell, a time limit, errors with their blame."""

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.policy.errors import (
    ConfigurationError,
    FleetError,
    NetworkError,
    StorageError,
    TheirError,
)
from tasks.devwork import paths
from tasks.devwork.gitdecode import text_of
from tasks.devwork.process import Command, Finished, Limits, run
from tasks.settings import settings

MAX_OUTPUT_BYTES = 8 << 20
LOCAL_TIME_S = 60.0
#: Shorter than the time limits of the tasks, so that it is git that ends, and says why.
NETWORK_TIME_S = 840.0

#: For a source on this box: git drops our configuration from the environment of the other end,
#: which then refuses repositories of other owners.
LOCAL_UPLOAD_PACK = "git -c safe.directory=* upload-pack"
REMOTE_UPLOAD_PACK = "git-upload-pack"

SSH = (
    "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oConnectTimeout=15 "
    "-oPermitLocalCommand=no -oClearAllForwardings=yes"
)

ENVIRONMENT = {
    "HOME": "/nonexistent",  # no ~/.netrc, no ~/.config/git; ssh takes its home from passwd
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_PROXY_COMMAND": "",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_SSH_COMMAND": SSH,
    "GIT_SSH_VARIANT": "ssh",
}

BASE_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "protocol.ext.allow": "never",
    # A redirect could leave the allowed hosts.
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "log.showSignature": "false",
    "i18n.logOutputEncoding": "UTF-8",
    # Not a hole: every path was checked against the roots, and git may not search above them.
    "safe.directory": "*",
}

#: Keys of a repository's own configuration that start programs. A repository may be what
#: somebody else wrote, even a bare one inside a clone, so they are switched off.
STARTS_PROGRAMS = re.compile(
    r"core\.(sshcommand|gitproxy|askpass|alternaterefscommand|pager|editor)"
    r"|credential(\..*)?\.helper"
    r"|filter\..*\.(clean|smudge|process|required)"
    r"|diff\.(external|.*\.(command|textconv))"
    r"|remote\..*\.(uploadpack|receivepack|vcs)"
    r"|gpg\.(.*\.)?program|merge\..*\.driver|uploadpack\.packobjectshook",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """How to run git in one folder: `scheme` is the only protocol it may speak (empty: none)."""

    cwd: Path
    scheme: str = ""
    config: Mapping[str, str] | None = None
    time_s: float = LOCAL_TIME_S

    def output(self, *arguments: str) -> bytes:
        """What git writes; raises FleetError with blame and retry when git fails."""
        finished = self.run(*arguments)
        if finished.exit_code != 0 or finished.timed_out:
            raise self._error(arguments[0], finished)
        if finished.stdout.truncated:
            raise TheirError(f"git {arguments[0]} wrote more than {MAX_OUTPUT_BYTES} bytes")
        return finished.stdout.data

    def line(self, *arguments: str) -> str:
        """One line of output as text, without its end."""
        return text_of(self.output(*arguments)).rstrip("\n")

    def succeeds(self, *arguments: str) -> bool:
        """Whether git answers yes; for questions that git answers with its exit code 1."""
        finished = self.run(*arguments)
        if finished.exit_code not in (0, 1):
            raise self._error(arguments[0], finished)
        return finished.exit_code == 0

    def speaking(self, scheme: str) -> "Git":
        """The same, allowed to speak one protocol, and to take the time of a network."""
        return replace(self, scheme=scheme, time_s=NETWORK_TIME_S)

    def run(self, *arguments: str) -> Finished:
        limits = Limits(
            timeout_s=min(self.time_s, settings().dev.max_time_s), keep_bytes=MAX_OUTPUT_BYTES
        )
        return run(
            Command(argv=[program(), *arguments], cwd=self.cwd, env=self._environment()), limits
        )

    def _environment(self) -> dict[str, str]:
        config = {**BASE_CONFIG, **(self.config or {})}
        pairs: dict[str, str] = {"GIT_CONFIG_COUNT": str(len(config))}
        for number, (key, value) in enumerate(config.items()):
            pairs |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return {
            **ENVIRONMENT,
            **pairs,
            "PATH": settings().dev.command_path,
            "GIT_ALLOW_PROTOCOL": self.scheme,
            "GIT_CEILING_DIRECTORIES": os.pathsep.join(str(r.parent) for r in paths.roots()),
        }

    def _error(self, what: str, finished: Finished) -> FleetError:
        if finished.timed_out:
            message = f"git {what} took longer than {finished.duration_s:.0f} s and was ended"
            return NetworkError(message) if self.scheme else TheirError(message, transient=True)
        return translated(what, finished.stderr.text)


def program() -> str:
    """The absolute path of git; raises ConfigurationError when there is none."""
    path = settings().dev.command_path
    found = shutil.which("git", path=path)
    if found is None:
        raise ConfigurationError(
            f"git is not in {path}; install it, or add its folder to [dev] command_path"
        )
    return str(Path(found).absolute())


def neutralised(keys: Iterable[str]) -> dict[str, str]:
    """Values that switch off those of a repository's `keys` that start programs."""
    return {key: _harmless(key) for key in keys if STARTS_PROGRAMS.fullmatch(key)}


def _harmless(key: str) -> str:
    if key.endswith(".required"):
        return "false"
    return REMOTE_UPLOAD_PACK if key.endswith(".uploadpack") else ""


def upload_pack(scheme: str) -> str:
    """The option that says which program answers, so that no configuration does."""
    return f"--upload-pack={LOCAL_UPLOAD_PACK if scheme == 'file' else REMOTE_UPLOAD_PACK}"


def without_credentials(words: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//***@", words)


#: What git writes (LC_ALL=C), the error it means, and whether another try can help.
#: The first that fits counts: ssh reports a refused key and a lost connection with the same
#: last line, so refusals come before the network.
_MEANINGS: tuple[tuple[re.Pattern[str], type[FleetError], bool], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind, transient)
    for pattern, kind, transient in (
        (
            r"permission denied|authentication failed|could not read (username|password)"
            r"|host key verification failed|returned error: 4(?!29)|access denied|not found"
            r"|does not appear to be a git repository|certificate|unable to update url base"
            r"|returned error: 3|transport '.*' not allowed|dubious ownership",
            TheirError,
            False,
        ),
        (r"no space left|read-only file system|disk quota", StorageError, True),
        (r"\.lock': File exists|cannot lock ref|another git process", TheirError, True),
        (
            r"could ?n.?t resolve|unable to look up|connection (refused|timed out|reset|closed)"
            r"|timed? ?out|no route to host|network is unreachable|unable to connect"
            r"|failed to connect|couldn't connect|early eof|hung up|rpc failed"
            r"|returned error: (5|429)|gnutls|ssl_|operation too slow|unexpected disconnect",
            NetworkError,
            True,
        ),
    )
)


def translated(what: str, stderr: str) -> FleetError:
    """The error that git's words mean, with its last lines and no credentials in them."""
    lines = [line for line in without_credentials(stderr).splitlines() if line.strip()]
    message = f"git {what}: {' / '.join(lines[-3:])[:500] or 'failed without a word'}"
    for pattern, kind, transient in _MEANINGS:
        if pattern.search(stderr):
            return kind(message, transient=transient)
    return TheirError(message)
