"""What is said of a sandbox, and which variables a command gets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bailee.agent.sandbox import Sandbox
from bailee.agent.variables import for_commands
from bailee.words import words


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{3,12}", fullmatch=True), st.just("pears")))
def test_a_variable_that_nobody_knows_stays_outside(held: dict[str, str]) -> None:
    """Whatever it is called: what a command gets is a list, and what the person names."""
    known = {"PATH": "/bin", "HOME": "/h", "LANG": "C", "LC_ALL": "C", "GOPATH": "/g", "CI": "1"}
    credentials = dict.fromkeys(
        ("PGPASSWORD", "MYSQL_PWD", "DATABASE_URL", "GH_PAT", "AWS_PROFILE", "SSH_AUTH_SOCK"), "v"
    )

    assert known.items() <= for_commands({**held, **credentials, **known}).items()
    assert {} == for_commands({f"X{name}": value for name, value in held.items()} | credentials)
    assert held == for_commands(held, held)


def test_without_a_sandbox_it_says_so() -> None:
    """The person and the model are told, with the reason."""
    none = Sandbox(None, "missing")

    assert "no sandbox" == none.label(words("en", "terminal"))
    assert "Commands run without a sandbox (bubblewrap is not installed)." == none.sentence(
        words("en", "terminal")
    )
    assert none.confine([], {}) is None


def test_a_persons_proxy_is_not_a_commands_in_the_sandbox() -> None:
    """Its address may hold a password. Outside the sandbox a command needs it."""
    given = {"PATH": "/bin", "https_proxy": "http://a:b@c:1", "NO_PROXY": "x"}
    led = Sandbox("bwrap", hosts=("pypi.org",)).environment(given)

    assert not given.items() & Sandbox("bwrap").environment({**given, "PATH": ""}).items()
    assert given == Sandbox(None).environment(given)
    assert ("http://127.0.0.1:3128", "") == (led["https_proxy"], led["NO_PROXY"])
