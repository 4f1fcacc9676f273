"""What git's words mean, and what its output decodes to."""

import pytest

from fleet.policy.errors import FleetError, NetworkError, StorageError, TheirError
from tasks.devwork import gitdecode
from tasks.devwork.gitrun import neutralised, translated

#: The messages of git and OpenSSH as their documentation and users quote them with LC_ALL=C.
WORDS: list[tuple[str, type[FleetError], bool]] = [
    (
        "ssh: Could not resolve hostname git.example.org: Name or service not known\n"
        "fatal: Could not read from remote repository.\n\n"
        "Please make sure you have the correct access rights\nand the repository exists.\n",
        NetworkError,
        True,
    ),
    (
        "ssh: connect to host 192.0.2.1 port 22: Connection timed out\n"
        "fatal: Could not read from remote repository.\n",
        NetworkError,
        True,
    ),
    (
        "git@git.example.org: Permission denied (publickey).\n"
        "fatal: Could not read from remote repository.\n",
        TheirError,
        False,
    ),
    (
        "Host key verification failed.\nfatal: Could not read from remote repository.\n",
        TheirError,
        False,
    ),
    (
        "kex_exchange_identification: Connection closed by remote host\n"
        "fatal: Could not read from remote repository.\n",
        NetworkError,
        True,
    ),
    (
        "fatal: unable to access 'https://x/': Could not resolve host: x\n",
        NetworkError,
        True,
    ),
    (
        "fatal: unable to access 'https://x/': server certificate verification failed. "
        "CAfile: none CRLfile: none\n",
        TheirError,
        False,
    ),
    (
        "fatal: could not read Username for 'https://x': terminal prompts disabled\n",
        TheirError,
        False,
    ),
    ("ERROR: Repository not found.\nfatal: Could not read from remote\n", TheirError, False),
    ("fatal: '/srv/x' does not appear to be a git repository\n", TheirError, False),
    ("fatal: the remote end hung up unexpectedly\n", NetworkError, True),
    ("fatal: transport 'ext' not allowed\n", TheirError, False),
    ("fatal: write error: No space left on device\n", StorageError, True),
    ("fatal: Unable to create '/r/.git/index.lock': File exists.\n", TheirError, True),
    ("fatal: something new\n", TheirError, False),
    ("", TheirError, False),
]


@pytest.mark.parametrize(("words", "kind", "transient"), WORDS)
def test_words_of_git_become_an_error_with_blame(
    words: str, kind: type[FleetError], transient: bool
) -> None:
    error = translated("fetch", words)
    assert (type(error), error.transient) == (kind, transient)


def test_credentials_in_words_of_git_are_never_told() -> None:
    error = translated("fetch", "fatal: unable to access 'https://me:hunter2@x/': no\n")
    assert "hunter2" not in str(error)
    assert "https://***@x/" in str(error)


def test_a_long_complaint_is_cut() -> None:
    assert len(str(translated("fetch", "x" * 100_000))) < 600


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("core.sshcommand", ""),
        ("filter.a.b=c\nd.process", ""),
        ("filter.x.required", "false"),
        ("remote.origin.uploadpack", "git-upload-pack"),
        ("credential.https://x.helper", ""),
    ],
)
def test_keys_that_start_programs_are_switched_off(key: str, value: str) -> None:
    assert neutralised([key, "user.name", "remote.origin.url"]) == {key: value}


@pytest.mark.parametrize(("seconds", "time"), [("", None), ("9" * 30, None), ("x", None)])
def test_a_commit_with_an_odd_time_is_still_told(seconds: str, time: str | None) -> None:
    data = f"abc\0Ada\0{seconds}\0subject\0".encode()
    assert gitdecode.commits(data) == [
        {"hash": "abc", "author": "Ada", "time": time, "subject": "subject"}
    ]


def test_names_that_are_no_text_are_replaced() -> None:
    status = gitdecode.status(b"# branch.head main\0? \xff.txt\0")
    assert status["files"] == [
        {"path": "\ufffd.txt", "state": "untracked", "staged": "?", "unstaged": "?"}
    ]
