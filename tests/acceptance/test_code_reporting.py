"""`/bug` to its end: secrets marked and masked, the report, and a public issue that holds none of
the conversation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bailee.testing.github import GitHub
from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.terminal import Opens, Screen
from support.servers.corporate_network import Receiver, receiver

TOKEN = "ghp_" + "q" * 36
SECRET = "sk-ant-api03-" + "q" * 24
OTHER = "sk-ant-api03-" + "p" * 24


@pytest.fixture
def ingest() -> Iterator[Receiver]:
    """Where reports go."""
    with receiver() as made:
        yield made


@pytest.fixture
def service() -> Iterator[GitHub]:
    """GitHub, with one repository."""
    with GitHub(tokens={TOKEN: True}, repositories={"quince/orchard"}) as made:
        yield made


@pytest.fixture
def talked(
    opens: Opens, root: Path, upstream: ScriptedUpstream, ingest: Receiver, service: GitHub
) -> Screen:
    """A session that held a secret and a marker, in front of the question what goes on."""
    folder = root.parent / "person" / ".config" / "bailee"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text('{"feedbackRepository": "quince/orchard"}')
    browser = root.parent / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {root.parent}/opened\n')
    editor = root.parent / "editor"
    editor.write_text('#!/bin/sh\nprintf "Slow pears\\n\\nIt is slow.\\n%s\\n" "$LEAK" > "$1"\n')
    for script in (browser, editor):
        script.chmod(0o755)
    upstream.then(Text("The marmalade is done."))
    screen = opens(
        BAILEE_INGEST_URL=ingest.url(),
        GITHUB_API_URL=service.url,
        GITHUB_TOKEN=TOKEN,
        BROWSER=str(browser),
        EDITOR=str(editor),
        LEAK=f"key {SECRET}",
    )
    screen.submit(f"make marmalade with {SECRET} and {OTHER}")
    screen.wait("marmalade is done")
    return screen


def report_of(ingest: Receiver) -> dict[str, object]:
    """The report that arrived."""
    (got,) = ingest.received
    assert "/api/claude_cli_feedback" == got.path
    content: dict[str, object] = json.loads(json.loads(got.body)["content"])
    return content


@pytest.mark.row("F1", "F2")
def test_a_report_and_an_issue_with_ones_own_token(
    talked: Screen, ingest: Receiver, service: GitHub
) -> None:
    """Secrets are listed and masked, one is kept on purpose; the preview is what goes; the id comes
    with the way to withdraw. The issue is edited, scrubbed again, and filed.
    """
    ingest.answers.append((200, {}, b'{"feedback_id":"fb_7"}'))
    talked.submit(f"/bug it is slow, says {SECRET}")
    shown = talked.wait("send nothing")
    assert "1 masked: Anthropic key" in shown
    assert "2 masked: Anthropic key" in shown
    assert "A bug report is kept 5 years, whatever the plan or key" in shown
    talked.type("k")
    talked.wait("Which number")
    talked.type("2\r")
    talked.wait("2 unmasked: Anthropic key")
    talked.wait(lambda text: text.count("send nothing") == 2)
    talked.type("p")
    talked.wait("── transcript ─")
    talked.wait(lambda text: text.count("send nothing") == 3)
    assert [] == ingest.received
    talked.type("s")
    talked.wait("The report's id is fb_7")
    talked.wait("To withdraw it: bailee feedback withdraw fb_7")
    content = report_of(ingest)
    assert {"description", "transcript", "environment"} == set(content)
    assert SECRET not in str(content)
    assert OTHER in str(content["transcript"])

    talked.wait("a public issue at github.com/quince/orchard too")
    talked.wait("no issue")
    talked.type("e")
    talked.wait("── Slow pears")
    talked.wait(lambda text: text.count("no issue") == 2)
    talked.type("f")
    talked.wait("Filed: https://github.com/quince/orchard/issues/1")
    talked.submit("/quit")
    assert 0 == talked.end()

    (issue,) = service.issues
    assert "Slow pears" == issue["title"]
    assert issue["body"].startswith("It is slow.\nkey ")
    for marker in (SECRET, OTHER, "marmalade"):
        assert marker not in str(service.bodies)


@pytest.mark.row("F2")
def test_an_issue_in_the_browser_is_only_filled_in(
    talked: Screen, ingest: Receiver, service: GitHub, root: Path
) -> None:
    """The page is opened with the scrubbed draft; nothing was sent to GitHub by the program. What
    was left out of the report is in no issue.
    """
    talked.submit("/feedback too slow")
    talked.wait("send nothing")
    talked.type("o")
    talked.wait(lambda text: text.count("send nothing") == 2)
    talked.type("s")
    talked.wait("no issue")
    talked.type("b")
    talked.wait("Opened in the browser")

    address = (root.parent / "opened").read_text()
    query = parse_qs(urlsplit(address).query)
    assert address.startswith("https://github.com/quince/orchard/issues/new?")
    assert {"title": ["too slow"], "body": ["too slow"]} == query
    assert [] == service.bodies
    assert "environment" not in report_of(ingest)


@pytest.mark.row("F2")
def test_a_refusal_of_githubs_says_what_to_do(
    opens: Opens, root: Path, service: GitHub, ingest: Receiver
) -> None:
    """A wrong token: a plain sentence, without the token, and the session goes on."""
    folder = root.parent / "person" / ".config" / "bailee"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text('{"feedbackRepository": "quince/orchard"}')
    screen = opens(
        BAILEE_INGEST_URL=ingest.url(), GITHUB_API_URL=service.url, GITHUB_TOKEN="ghp_wrong"
    )
    screen.submit("/bug slow")
    screen.wait("send nothing")
    screen.type("s")
    screen.wait("no issue")
    screen.type("f")
    screen.wait("error: GitHub does not know this token")
    screen.submit("go on")
    screen.wait("Done")

    assert "ghp_wrong" not in screen.text
