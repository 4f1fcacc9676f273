"""What dev tasks may touch, and what is refused at the door."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.policy.errors import ConfigurationError, RefusedError
from tasks.devwork import paths
from tests.tasks.devbox import Box, make_box


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with make_box(tmp_path, monkeypatch) as box:
        box.configure(url_hosts='["Git.Example.org", "127.0.0.1:9418"]')
        (box.root / "repo").mkdir()
        (box.outside / "secret").mkdir()
        yield box


def test_a_path_below_a_root_is_resolved(box: Box) -> None:
    (box.root / "link").symlink_to(box.root / "repo")
    assert paths.allowed_path(f"{box.root}/link/../repo/.") == (box.root / "repo").resolve()


@pytest.mark.parametrize(
    "text",
    [
        "{outside}/secret",
        "{root}/../outside/secret",
        "{root}/link-to-outside",
        "{root}/link-to-outside/secret",
        "{root}-sibling",
        "/",
        "/etc/passwd",
        "repo",
        "../outside",
        "~/repo",
        "-C{root}",
        "",
        "{root}/repo\n",
        "{root}/repo\x00",
        "{root}/re\u202epo",
        "{root}/\udcff",
        "{root}/missing",
        "{root}/circle",
        "{root}/" + "x" * 3000,
    ],
)
def test_a_path_outside_or_odd_is_refused(box: Box, text: str) -> None:
    (box.root / "link-to-outside").symlink_to(box.outside)
    (box.root / "circle").symlink_to(box.root / "circle")
    Path(f"{box.root}-sibling").mkdir()
    with pytest.raises(RefusedError):
        paths.allowed_path(
            text.replace("{root}", str(box.root)).replace("{outside}", str(box.outside))
        )


def test_the_refusal_names_the_setting(box: Box) -> None:
    with pytest.raises(RefusedError, match=r"\[dev\] roots"):
        paths.allowed_path(str(box.outside))
    with pytest.raises(RefusedError, match=r"\[dev\] url_schemes"):
        paths.allowed_source("ftp://git.example.org/r")
    with pytest.raises(RefusedError, match=r"\[dev\] url_hosts"):
        paths.allowed_source("https://evil.example.org/r")


def test_without_roots_nothing_is_open(box: Box) -> None:
    box.configure(roots="[]")
    with pytest.raises(RefusedError, match="roots"):
        paths.allowed_path(str(box.root))


def test_a_relative_root_is_a_wrong_configuration(box: Box) -> None:
    box.configure(roots='["srv/git"]')
    with pytest.raises(ConfigurationError, match="absolute"):
        paths.allowed_path(str(box.root))


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("https://git.example.org/group/repo.git", "https"),
        ("https://GIT.example.org/repo", "https"),
        ("https://git.example.org:8443/repo", "https"),
        ("ssh://git@git.example.org/repo.git", "ssh"),
        ("git@git.example.org:group/repo.git", "ssh"),
        ("git.example.org:repo", "ssh"),
    ],
)
def test_an_allowed_url_reaches_git_as_it_is(box: Box, text: str, scheme: str) -> None:
    assert paths.allowed_source(text) == paths.Source(text, scheme)


@pytest.mark.parametrize("prefix", ["", "file://", "file://localhost", "FILE://"])
def test_a_file_url_is_a_path(box: Box, prefix: str) -> None:
    source = paths.allowed_source(f"{prefix}{box.root}/repo")
    assert source.path == (box.root / "repo").resolve()
    assert source.text == str(source.path)


MALICIOUS = [
    "ext::sh -c 'touch /tmp/owned'",
    "EXT::sh",
    "fd::17",
    "ext://git.example.org/x",
    "--upload-pack=touch /tmp/owned",
    "-u",
    "file:///etc",
    "file://{root}/../outside/secret",
    "file://{root}/%2e%2e/outside/secret",
    "file://{root}/repo%0a",
    "file://evil.example.org{root}/repo",
    "https://evil.example.org/repo",
    "https://git.example.org.evil.org/repo",
    "https://git.example.org@evil.example.org/repo",
    "https://evil.example.org\\@git.example.org/repo",
    "https://evil.example.org#@git.example.org/repo",
    "https://evil.example.org?@git.example.org/repo",
    "https://git.example.org%2eevil.org/repo",
    "https://user@git.example.org/repo",
    "https://user:hunter2@git.example.org/repo",
    "https://:hunter2@git.example.org/repo",
    "ssh://git:hunter2@git.example.org/repo",
    "https://git.example.org/repo?token=hunter2",
    "https://git.example.org/repo#hunter2",
    "ssh://-oProxyCommand=touch@git.example.org/repo",
    "ssh://-oProxyCommand=touch/repo",
    "-oProxyCommand=touch:repo",
    "git@-oProxyCommand=touch:repo",
    "git@git.example.org:-x",
    "git@git.example.org::repo",
    "git@evil.example.org:repo",
    "http://git.example.org/repo",
    "git://git.example.org/repo",
    "ssh://127.0.0.1:22/repo",
    "ssh://127.0.0.1/repo",
    "ssh://git.example.org:99999/repo",
    "https://[::1/repo",
    "https:///repo",
    "https://git.example.org",
    "https://git.example.org/",
    "https://git.example.org/re po",
    "https://git.example.org/repo\r\nHost: x",
    " https://git.example.org/repo",
    "repo",
    "./repo",
    "",
]


@pytest.mark.parametrize("text", MALICIOUS)
def test_a_malicious_url_is_refused_and_no_secret_is_told(box: Box, text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        paths.allowed_source(text.replace("{root}", str(box.root)))
    assert "hunter2" not in str(refused.value)


def test_a_host_with_port_opens_this_port_only(box: Box) -> None:
    box.configure(url_schemes='["git"]')
    assert paths.allowed_source("git://127.0.0.1:9418/repo").scheme == "git"
    with pytest.raises(RefusedError):
        paths.allowed_source("git://127.0.0.1:9419/repo")


def test_transports_that_start_programs_cannot_be_configured(box: Box) -> None:
    box.configure(url_schemes='["ext", "fd"]')
    with pytest.raises(RefusedError, match="allowed: none"):
        paths.allowed_source("ext://git.example.org/x")


@pytest.mark.parametrize("url", [None, 7, ["/srv"], {"path": "/srv"}])
def test_a_url_that_is_no_text_is_refused(box: Box, url: object) -> None:
    with pytest.raises(RefusedError):
        paths.allowed_source(url)  # type: ignore[arg-type]


PARTS = st.sampled_from(
    [
        "https:",
        "ssh:",
        "ext:",
        "file:",
        ":",
        "/",
        "//",
        "@",
        "\\",
        "#",
        "?",
        "%2f",
        "-o",
        "..",
        "git.example.org",
        "evil.example.org",
        "user",
        ":443",
        "repo",
        " ",
        "\n",
        "[",
        "]",
        "\u3002",
    ]
)
ALLOWED = re.compile(
    r"(https://|ssh://([\w.-]+@)?)git\.example\.org(:\d*)?/.+|([\w.-]+@)?git\.example\.org:.+"
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(PARTS, max_size=9).map("".join) | st.text(max_size=30))
def test_whatever_is_written_goes_to_the_allowed_host_or_nowhere(box: Box, text: str) -> None:
    try:
        source = paths.allowed_source(text)
    except RefusedError:
        return
    assert ALLOWED.fullmatch(source.text)


@pytest.mark.parametrize("name", ["", ".git", "..", "a/b", "-x", ".hidden", "a\n", "x" * 101, "é"])
def test_odd_names_of_clones_are_refused(name: str) -> None:
    with pytest.raises(RefusedError):
        paths.allowed_name(name)


@pytest.mark.parametrize("name", ["", "--all", "https://x/y", "a..b", "/srv/git/x", "a\n", "a b"])
def test_odd_names_of_remotes_are_refused(name: str) -> None:
    with pytest.raises(RefusedError):
        paths.allowed_remote(name)
