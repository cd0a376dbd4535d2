"""`bailee cloud git` and `bailee cloud network`, as a person types them."""

from __future__ import annotations

import pytest

from support.clients import processes
from support.clients.programs import Bailee, clean_environment

SECRET = "glpat-planted-medlar"


@pytest.mark.row("C2")
def test_a_connection_comes_and_goes(bailee: Bailee) -> None:
    """A token from a variable or from standard input is stored, listed without it, and forgotten;
    with a server running and without one.
    """
    key = bailee.json("key", "create", "--plan", "pro")["key"]
    added = bailee.run(
        *("cloud", "git", "add", "gitlab.com", "--kind", "gitlab-token", "--secret-env", "TOKEN"),
        env={"TOKEN": SECRET},
    )
    assert (0, "") == (added.returncode, added.stderr)
    assert "for gitlab.com" in added.stdout
    env = clean_environment(bailee.home.parent, BAILEE_HOME=str(bailee.home), BAILEE_API_KEY=key)
    piped = processes.run("cloud", "git", "add", "github.com/acme", env=env, given=f"{SECRET}\n")
    assert (0, "") == (piped.returncode, piped.stderr)
    bailee.up()
    first, second = bailee.json("cloud", "git", "list")
    assert ("gitlab.com", "github.com/acme") == (first["place"], second["place"])
    assert "is forgotten" in bailee.run("cloud", "git", "remove", first["id"]).stdout
    assert [second] == bailee.json("cloud", "git", "list")
    bailee.stop()
    files = [path for path in bailee.home.rglob("*") if path.is_file()]
    assert [] == [path for path in files if SECRET.encode() in path.read_bytes()]


@pytest.mark.row("C2")
def test_a_secret_that_is_missing(bailee: Bailee) -> None:
    """Without a secret nothing is stored, and the hint says how to give it; there is no argument
    that takes one.
    """
    bailee.json("key", "create", "--plan", "pro")
    done = bailee.run("cloud", "git", "add", "github.com", "--secret-env", "NOT_SET")
    assert 2 == done.returncode
    assert "hint: give it on standard input" in done.stderr
    assert 2 == bailee.run("cloud", "git", "add", "github.com", "--secret", SECRET).returncode


@pytest.mark.row("C3")
def test_hosts_are_allowed_and_denied(bailee: Bailee) -> None:
    """`bailee cloud network`: entries come, are listed, and go."""
    bailee.json("key", "create", "--plan", "pro")
    allowed = bailee.run("cloud", "network", "allow", "*.example.org")
    assert "*.example.org is allowed from the next session on" in allowed.stdout
    assert 2 == bailee.run("cloud", "network", "allow", "mail.example.org:25").returncode
    (entry,) = bailee.json("cloud", "network", "list")
    assert ("allow", "*.example.org") == (entry["verdict"], entry["entry"])
    gone = bailee.run("cloud", "network", "remove", entry["id"])
    assert "*.example.org is on no list any more." in gone.stdout
