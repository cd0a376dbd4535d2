"""What the sandbox's command line says, and what a command's environment lacks."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bailee.agent.sandbox import Sandbox, arguments, without_credentials
from bailee.words import words


def test_credentials_do_not_reach_commands() -> None:
    """Names that look like credentials go, whatever they hold; the others stay."""
    kept = {"PATH": "/bin", "HOME": "/h", "LANG": "C", "KEYBOARD": "de", "MONKEY": "x", "CI": "1"}
    gone = (
        "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "AWS_PROFILE", "GITHUB_TOKEN", "NPM_TOKEN",
        "OPENAI_API_KEY", "MY_PASSWORD", "db_secret", "SSH_AUTH_SOCK", "BAILEE_ROOT_KEY", "TOKEN",
    )  # fmt: skip

    assert kept == without_credentials({**kept, **dict.fromkeys(gone, "v")})


def test_the_network_is_off_and_hosts_are_reached_by_a_socket_alone() -> None:
    """A namespace of its own, without a way out but the proxy's socket."""
    ways = (None, Path("/tmp/socket"))
    made = [arguments("bwrap", ["x"], [Path("/w")], Path("/h"), egress=way) for way in ways]

    assert [True, True] == ["--unshare-net" in line for line in made]
    assert [False, True] == ["/tmp/socket" in line for line in made]


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1))
def test_the_command_comes_last_and_unchanged(command: list[str]) -> None:
    """Nothing of a command can be taken for an option of the sandbox."""
    line = arguments("bwrap", command, [Path("/w")], Path("/h"))

    assert ["--", *command] == line[-len(command) - 1 :]


def test_without_a_sandbox_it_says_so() -> None:
    """The person and the model are told, with the reason."""
    none = Sandbox(None, "missing")

    assert "no sandbox" == none.label(words("en", "terminal"))
    assert "Commands run without a sandbox (bubblewrap is not installed)." == none.sentence(
        words("en", "terminal")
    )
    assert ["ls"] == none.wrap(["ls"], [Path("/w")], Path("/h"))


def test_a_persons_proxy_is_not_a_commands_in_the_sandbox() -> None:
    """Its address may hold a password. Outside the sandbox a command needs it."""
    given = {"PATH": "/bin", "https_proxy": "http://a:b@c:1", "NO_PROXY": "x"}
    led = Sandbox("bwrap", hosts=("pypi.org",)).environment(given)

    assert {"PATH": "/bin"} == Sandbox("bwrap").environment(given)
    assert given == Sandbox(None).environment(given)
    assert ("http://127.0.0.1:3128", "") == (led["https_proxy"], led["NO_PROXY"])
