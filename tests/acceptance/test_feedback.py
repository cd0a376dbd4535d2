"""Feedback as people give it and as it is dealt with, through a real server.

The shape of a redirected agent's report is the one that Claude Code makes; see
`tests/integration/feedback/test_reports.py`.
"""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.github import GitHub
from bailee.testing.upstream import ScriptedUpstream
from support.clients.programs import Bailee, message
from support.clients.terminal import Opens

TOKEN = "ghp_" + "a1B2" * 9


def send(
    server: Bailee, path: str, content: object, key: str | None = None, method: str = "POST"
) -> Any:
    """A request to the ingest, and its JSON."""
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(
        server.ready["ingest"]["otlp"] + path, json.dumps(content).encode(), headers, method=method
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


def report(server: Bailee, key: str | None = None, **parts: Any) -> str:
    """A report that is sent; its id."""
    content = {"content": json.dumps(parts)}
    answer = send(server, "/api/claude_cli_feedback", content, key or server.ready["key"])
    found: str = answer["feedback_id"]
    return found


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    """GitHub's API."""
    with GitHub({TOKEN: True}) as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, github: GitHub) -> Iterator[Bailee]:
    """A server for the file, which may file issues."""
    made = Bailee(tmp_path_factory.mktemp("feedback"))
    with ScriptedUpstream(tools_only=False) as model:
        made.up(
            "--upstream",
            model.url,
            env={
                "BAILEE_FEEDBACK_REPOSITORY": "orchard/public",
                "BAILEE_FEEDBACK_GITHUB_TOKEN_ENV": "ORCHARD_TOKEN",
                "BAILEE_FEEDBACK_GITHUB_API": github.url,
                "ORCHARD_TOKEN": TOKEN,
            },
        )
        yield made
        made.close()


@pytest.mark.row("F1", "F4")
def test_whoever_sent_a_report_lists_shows_and_withdraws_it(server: Bailee) -> None:
    """By their key; with the receipt of its destruction; nobody else's key finds it."""
    made = server.json("key", "create", "--plan", "pro")
    id_ = report(server, made["key"], description="medlar stops", transcript=[{"role": "user"}])

    (listed,) = server.json("feedback", "list", "--key", made["key"])
    shown = server.run("feedback", "show", id_, "--key", made["key"])
    foreign = server.run("feedback", "withdraw", id_, "--key", server.ready["key"])
    receipt = server.json("feedback", "withdraw", id_, "--key", made["key"])

    assert (id_, "open", "P5Y") == (listed["id"], listed["state"], listed["retention"]["period"])
    assert "medlar stops" in shown.stdout
    assert "retain.feedback-report" in shown.stdout
    assert (2, True) == (foreign.returncode, "no such report" in foreign.stderr)
    assert "key_destroyed" == receipt["state"]
    assert [] == server.json("feedback", "list", "--key", made["key"])


@pytest.mark.row("F4")
def test_a_persons_own_machine_asks_the_console(server: Bailee) -> None:
    """Where no server runs: `--console` and a key do the same over HTTP."""
    key = server.json("key", "create", "--plan", "max")["key"]
    id_ = report(server, key, description="medlar from afar")
    afar = ["--console", server.ready["console"], "--key", key, "--home", "/nowhere", "--json"]

    (listed,) = json.loads(server.run("feedback", "list", *afar).stdout)
    shown = json.loads(server.run("feedback", "show", id_, *afar).stdout)
    receipt = json.loads(server.run("feedback", "withdraw", id_, *afar).stdout)
    gone = server.run("feedback", "show", id_, *afar)
    plain = server.run("feedback", "list", "--console", "http://console.example", "--key", key)

    assert id_ == listed["id"]
    assert {"description": "medlar from afar"} == shown["content"]
    assert "report_withdrawal" == receipt["kind"]
    assert 2 == gone.returncode
    assert 2 == plain.returncode  # a key goes nowhere in plain text


@pytest.mark.row("F2", "F4", "P4")
def test_a_report_is_triaged_into_a_public_issue(server: Bailee, github: GitHub) -> None:
    """Read for a reason, drafted without transcript, errors and secrets, edited, filed, linked,
    closed; each on record, and the record holds nothing of it.
    """
    id_ = report(
        server,
        description=f"It stops\nwith {TOKEN[:-4]}zzzz in a file",
        transcript=[{"role": "user", "content": "quince"}],
        errors=["quince"],
        environment={"system": "Linux", "cwd": "/home/quince"},
    )
    draft = server.json("feedback", "draft", id_, "--reason", "looking into a stop")
    assert ("orchard/public", "It stops") == (draft["repository"], draft["title"])
    assert ["GitHub token"] == draft["masked"]
    assert "quince" not in json.dumps(draft)
    assert draft["url"].startswith("https://github.com/orchard/public/issues/new?title=It%20stops")

    edited = server.home.parent / "text.md"
    edited.write_text(f"In short. {TOKEN}\n")
    filed = server.json(
        "feedback", "file", id_, "--reason", "to be mended", "--title", "Stops", "--body",
        str(edited),
    )  # fmt: skip
    again = server.run("feedback", "file", id_, "--reason", "to be mended")
    server.json("feedback", "close", id_)

    assert ("linked", "https://github.com/orchard/public/issues/1") == (
        filed["state"],
        filed["issue"],
    )
    (issue,) = github.issues
    assert ("Stops", "In short. [GitHub token removed, 1]\n") == (issue["title"], issue["body"])
    assert (2, True) == (again.returncode, "there is already an issue" in again.stderr)
    (closed,) = server.json("feedback", "list", "--state", "closed")
    assert (id_, filed["issue"]) == (closed["id"], closed["issue"])
    entries = server.json("audit", "list", "--subject", id_)
    reasons = [entry["body"].get("reason") for entry in entries if entry["kind"] == "access.read"]
    assert ["looking into a stop", "to be mended", "to be mended"] == reasons
    assert "quince" not in json.dumps(entries) + json.dumps(github.requests)


@pytest.mark.row("F3")
def test_the_surveys_results_are_counts(server: Bailee) -> None:
    """Enough answers are shown, few are not, with a key or a second field none is taken."""
    for answer, times in (("1", 6), ("2", 8), ("3", 9), ("dismissed", 2)):
        for _ in range(times):
            send(server, "/api/v1/survey", {"rating": answer})
    for content, key in (({"rating": "1", "x": 1}, None), ({"rating": "1"}, server.ready["key"])):
        with pytest.raises(urllib.error.HTTPError) as refused:
            send(server, "/api/v1/survey", content, key)
        assert 400 == refused.value.code

    found = server.json("survey", "results")
    printed = server.run("survey", "results").stdout

    assert 25 == found["all"]["total"]
    assert None is found["all"]["counts"]["dismissed"]
    assert {8, 9} == {n for n in found["all"]["counts"].values() if n is not None}
    assert "a count under 5" in printed


@pytest.mark.row("F1")
def test_a_report_that_was_answered_survives_kill_9(tmp_path: Path) -> None:
    """Killed the moment after: it is there, whole; planted words are in no file."""
    server = Bailee(tmp_path)
    try:
        server.up("--upstream", "http://127.0.0.1:9")
        id_ = report(server, description="medlar", transcript=["quince"])
        assert server._process is not None
        server._process.send_signal(signal.SIGKILL)
        server._process.communicate(timeout=30)
        server._process = None

        assert [] == server.holds(b"medlar", b"quince")
        shown = server.json("feedback", "show", id_, "--reason", "is it still there?")
        assert {"description": "medlar", "transcript": ["quince"]} == shown["content"]
    finally:
        server.close()


@pytest.mark.row("S1", "S2")
def test_up_hands_out_a_key_that_only_sends(server: Bailee) -> None:
    """It stands in every address of the ingest; the gateway and the console's API refuse it."""
    ingest, key = server.ready["ingest"], server.ready["ingest"]["key"]
    assert key != server.ready["key"]
    assert f"//{key}@" in ingest["sentry_dsn"]
    send(server, "/v1/metrics", {"resourceMetrics": []}, key)
    id_ = report(server, key, description="by a key that only sends")

    with pytest.raises(urllib.error.HTTPError) as refused:
        message(server.ready, "hello", key=key)
    assert 401 == refused.value.code
    asked = urllib.request.Request(
        server.ready["console_api"] + "/api/v1/feedback", headers={"x-api-key": key}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(asked, timeout=30)
    assert 401 == refused.value.code
    scopes = {one["key_id"][4:]: one["scope"] for one in server.json("key", "list")}
    assert "ingest" == scopes[key[3:13]]
    answer = send(server, "/api/claude_cli_feedback", {"content": '{"description":"x"}'}, key)
    withdrawn = server.json(
        "feedback", "withdraw", answer["feedback_id"], "--secret", answer["withdrawal_secret"]
    )
    assert "key_destroyed" == withdrawn["state"]
    server.json("feedback", "withdraw", id_)


@pytest.mark.row("F1")
def test_bug_in_the_agent_says_how_long_it_is_kept_and_arrives(
    server: Bailee, opens: Opens, upstream: ScriptedUpstream
) -> None:
    """From the terminal to the server: before it goes, five years are said; its sender finds it by
    the id that was told, with what they let go and without what they left out.
    """
    key = server.json("key", "create", "--plan", "pro")["key"]
    screen = opens(BAILEE_INGEST_URL=server.ready["ingest"]["otlp"], ANTHROPIC_AUTH_TOKEN=key)
    screen.submit("a quince question")
    screen.wait("Done")
    screen.submit("/bug it is too slow")
    screen.wait("send nothing")
    screen.wait("kept 5 years, whatever")
    screen.type("t")
    screen.wait("bytes +left out")
    screen.wait(lambda text: text.count("send nothing") == 2)
    screen.type("s")
    screen.wait("bailee feedback withdraw fb_")

    (listed,) = server.json("feedback", "list", "--key", key)
    shown = server.json("feedback", "show", listed["id"], "--key", key)

    assert "it is too slow" == shown["content"]["description"]
    assert ["description", "environment"] == listed["parts"]
    screen.wait(listed["id"])


def test_nothing_that_was_sent_is_in_a_file(server: Bailee) -> None:
    """After all of the above: neither the words nor the token are in the home."""
    assert [] == server.holds(b"medlar", b"quince", b"too slow", TOKEN.encode(), b"zzzz in a file")


@pytest.mark.row("F1", "R6")
def test_a_held_report_waits_is_read_for_its_matter_and_leaves_a_receipt(
    server: Bailee, tmp_path: Path
) -> None:
    """Withdrawn while it is held: nobody sees it, it is read for the matter and on record, and goes
    with the release. The receipt says who asked, and verifies.
    """
    found = report(server, description="it says mulberry")
    hold = server.json("hold", "place", "--report", found, "--reason", "matter 7")
    assert ("placed", found) == (hold["state"], hold["report"])
    assert f"report {found}" in " ".join(server.run("hold", "list").stdout.split())

    receipt = server.json("feedback", "withdraw", found)
    assert "deferred" == receipt["state"]
    assert 2 == server.run("feedback", "show", found).returncode
    read = server.run("hold", "read", hold["hold"], "--reason", "asked for by the court")
    assert (0, True) == (read.returncode, "mulberry" in read.stdout)
    kinds = [one["kind"] for one in server.json("audit", "list", "--subject", found)]
    assert {"access.read", "hold.read"} <= set(kinds)

    server.json("hold", "release", hold["hold"])
    (one,) = [r for r in server.json("receipts", "list") if r.get("subject") == found]
    assert ("operator", "feedback_report", "key_destroyed") == (
        one["by"],
        one["data_class"],
        one["state"],
    )
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(server.json("receipts", "show", one["receipt"])))
    assert "report_withdrawal" in server.run("receipts", "verify", str(file)).stdout
    file.write_text(file.read_text().replace('"by": "operator"', '"by": "nobody"'))
    assert 5 == server.run("receipts", "verify", str(file)).returncode
