"""What the `dev` tasks may touch: paths below configured roots, URLs of configured hosts."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from fleet.policy.errors import ConfigurationError, RefusedError
from tasks.settings import DevSettings, settings

#: Schemes that may be configured at all. Transports such as `ext` start programs.
SAFE_SCHEMES = frozenset({"https", "http", "ssh", "git"})
MAX_LENGTH = 2048

_SCP_LIKE = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^@/:]+):(?P<path>(?!:).+)")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_REPOSITORY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_REMOTE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


@dataclass(frozen=True, slots=True)
class Source:
    """A place that git may read from.

    `text` is what git is given; `scheme` is `file` for a path, which `path` then holds.
    """

    text: str
    scheme: str
    path: Path | None = None


def roots() -> tuple[Path, ...]:
    """The configured roots, resolved; raises RefusedError when there are none."""
    configured = settings().dev.roots
    if not configured:
        raise RefusedError("no folder is open to dev tasks; set [dev] roots in turtle.toml")
    return tuple(_resolved_root(root) for root in configured)


def _resolved_root(root: Path) -> Path:
    if not root.is_absolute():
        raise ConfigurationError(f"[dev] roots: {root} must be an absolute path, as in /srv/git")
    return root.resolve()


def allowed_path(text: str) -> Path:
    """Resolve an existing path, symlinks and all; RefusedError unless it lies below a root."""
    _refuse_odd(text, "path")
    path = Path(text)
    if not path.is_absolute():
        raise RefusedError(f"path {text!r} must be absolute and lie below one of [dev] roots")
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of symlinks (Python < 3.13)
        raise RefusedError(f"path {text!r} cannot be resolved") from error
    require_below_roots(resolved)
    if not resolved.exists():
        raise RefusedError(f"path {text!r} does not exist on this box")
    return resolved


def require_below_roots(resolved: Path) -> None:
    """Raise RefusedError unless the resolved path is a root or lies below one."""
    if not any(resolved.is_relative_to(root) for root in roots()):
        raise RefusedError(f"{resolved} is outside of the allowed folders ([dev] roots)")


def allowed_source(text: str) -> Source:
    """Check a path or URL that git shall read from; RefusedError says which setting allows it.

    Takes an absolute path, `file:///path`, `scheme://host/path` and ssh's `user@host:path`.
    """
    _refuse_odd(text, "url")
    if "::" in text.split("/", 1)[0]:
        raise RefusedError("URLs of the form 'transport::address' are never allowed")
    if text.lower().startswith("file://"):
        return _file_source(text)
    if "://" in text:
        return _remote_source(text)
    if text.startswith("/"):
        return _path_source(text)
    return _scp_source(text)


def _path_source(text: str) -> Source:
    path = allowed_path(text)
    return Source(str(path), "file", path)


def _file_source(text: str) -> Source:
    host, _, path = text[len("file://") :].partition("/")
    if host not in ("", "localhost"):
        raise RefusedError("a file URL names no host: write file:///path")
    return _path_source("/" + unquote(path))


def _remote_source(text: str) -> Source:
    dev = settings().dev
    try:
        url = urlsplit(text)
        host, port = (url.hostname or ""), url.port
    except ValueError as error:
        raise RefusedError("the URL cannot be read; write https://host/path") from error
    _refuse_scheme(url.scheme, dev)
    _refuse_credentials(url)
    _refuse_host(host, port, dev)
    if not url.path.strip("/"):
        raise RefusedError("the URL names no repository; write https://host/path")
    return Source(text, url.scheme)


def _scp_source(text: str) -> Source:
    match = _SCP_LIKE.fullmatch(text)
    if match is None:
        raise RefusedError(
            f"{text!r} is neither an absolute path nor a URL; write /path or https://host/path"
        )
    user = f"{match['user']}@" if match["user"] else ""
    checked = _remote_source(f"ssh://{user}{match['host']}/{match['path'].lstrip('/')}")
    if match["path"].startswith("-"):
        raise RefusedError("the path of the URL must not start with '-'")
    return Source(text, checked.scheme)


def _refuse_scheme(scheme: str, dev: DevSettings) -> None:
    allowed = [name for name in dev.url_schemes if name in SAFE_SCHEMES]
    if scheme not in allowed:
        raise RefusedError(
            f"scheme {scheme!r} is not allowed; allowed: {', '.join(allowed) or 'none'} "
            "([dev] url_schemes)"
        )


def _refuse_credentials(url: SplitResult) -> None:
    # No message here may quote the URL: it may hold a secret.
    if url.password is not None or (url.username is not None and url.scheme != "ssh"):
        raise RefusedError(
            "the URL holds credentials; take them out and use the box's ssh key (ssh://)"
        )
    if url.username is not None and not _USER.fullmatch(url.username):
        raise RefusedError("the user name of the ssh URL has characters that are not allowed")
    if url.query or url.fragment:
        raise RefusedError("the URL must have no '?' and no '#'")


def _refuse_host(host: str, port: int | None, dev: DevSettings) -> None:
    hosts = {name.lower() for name in dev.url_hosts}
    if host not in hosts and f"{host}:{port}" not in hosts:
        raise RefusedError(f"host {host!r} is not allowed; add it to [dev] url_hosts")


def allowed_name(text: str) -> str:
    """Check the name of a new clone's folder."""
    if not _REPOSITORY_NAME.fullmatch(text):
        raise RefusedError(
            f"name {text!r} must be letters, digits, '.', '_' and '-', at most 100, "
            "and start with a letter or digit"
        )
    return text


def allowed_remote(text: str) -> str:
    """Check the name of a configured remote, such as `origin`."""
    if not _REMOTE_NAME.fullmatch(text) or ".." in text:
        raise RefusedError(f"remote {text!r} must be the name of a configured remote, not a URL")
    return text


def _refuse_odd(text: object, what: str) -> None:
    if not isinstance(text, str) or not text:
        raise RefusedError(f"{what} must be a text that is not empty")
    if len(text) > MAX_LENGTH:
        raise RefusedError(f"{what} is longer than {MAX_LENGTH} characters")
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in text):
        raise RefusedError(f"{what} has control or invisible characters")
    if text.startswith("-"):
        raise RefusedError(f"{what} must not start with '-'")
    if "://" in text and ("\\" in text or " " in text):
        raise RefusedError(f"{what} must have no backslash and no space")
