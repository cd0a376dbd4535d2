"""`bailee flows off`, `on` and `receipts` as a person types them, and `/flows off` in the agent."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bailee.client.local_key import machine_key
from bailee.client.outbox import Outbox
from bailee.client.payloads import Payload, rating, report
from bailee.testing.upstream import ScriptedUpstream
from support.clients import processes
from support.clients.programs import Bailee, clean_environment
from support.clients.terminal import Screen
from support.servers.corporate_network import Receiver, receiver

ANSWERS = ("1", "2", "3", "dismissed")


class Person:
    """A person's machine, with an outbox of its own."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.data = home / ".local/share/bailee/client"
        self.environment = environment
        home.mkdir(exist_ok=True)

    @property
    def outbox(self) -> Outbox:
        """Their outbox."""
        return Outbox(self.data / "outbox", lambda: machine_key(self.data, lambda: None))

    def put(self, flow: str) -> str:
        """A payload of a flow that waits; its id."""
        made = {
            "metrics": Payload("metrics", "/v1/metrics", "application/json", b'{"medlar": 1}'),
            "errors": Payload("errors", "/api/1/envelope/", "application/json", b"{}\n{}\n{}\n"),
            "survey": rating("1", ANSWERS),
            "bug_report": report({"description": "medlar stops"}),
        }
        return self.outbox.put(made[flow]).id

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command, to its end."""
        env = clean_environment(self.home, **{**self.environment, **more})
        return processes.run(*arguments, env=env, folder=self.home)

    def json(self, *arguments: str, **more: str) -> Any:
        """A command that succeeds, and its JSON."""
        done = self.run(*arguments, "--json", **more)
        assert (0, "") == (done.returncode, done.stderr)
        return json.loads(done.stdout)

    def state(self, **more: str) -> dict[str, str]:
        """Which flow is on and which is off."""
        return {one["flow"]: one["state"] for one in self.json("flows", **more)}


@pytest.fixture
def ingest() -> Iterator[Receiver]:
    """Where payloads would go."""
    with receiver() as made:
        yield made


@pytest.fixture
def ann(tmp_path: Path, ingest: Receiver) -> Person:
    """A machine on which nothing was set."""
    return Person(tmp_path / "ann", BAILEE_INGEST_URL=ingest.url())


@pytest.mark.row("S6", "S7")
@pytest.mark.parametrize("flow", ["metrics", "errors", "bug_report", "survey"])
def test_off_deletes_what_waits_of_that_flow_alone_and_gives_a_receipt(
    ann: Person, ingest: Receiver, flow: str
) -> None:
    """No file holds what waited; the receipt names it; the other flows go on; and nothing of this
    one leaves, whatever still comes into the outbox.
    """
    waiting = {name: ann.put(name) for name in ("metrics", "errors", "bug_report", "survey")}

    done = ann.json("flows", "off", flow)
    late = ann.put(flow)
    outcome = {one["id"]: one["became"] for one in ann.json("outbox", "send")}

    assert (flow, False, "bailee flows off") == (done["flow"], done["on"], done["way"])
    assert [waiting[flow]] == [one["id"] for one in done["deleted"]]
    others = {id_ for name, id_ in waiting.items() if name != flow}
    assert {late: "deleted", **dict.fromkeys(others, "sent")} == outcome
    assert 3 == len(ingest.received)
    assert {name: "off" if name == flow else "on" for name in waiting} == {
        name: state for name, state in ann.state().items() if name in waiting
    }
    assert done == ann.json("flows", "receipts")[-1]
    (said,) = [one for one in ann.json("flows") if one["flow"] == flow]
    assert (f"flows.{flow}", "user", None) == (said["variable"], said["scope"], said["clause"])


@pytest.mark.row("S6", "S7")
def test_every_answer_says_the_other_verb(ann: Person) -> None:
    """Off says how it is on again, on how it is off, the list says either; in both languages."""
    off = ann.run("flows", "off", "metrics").stdout
    listed = ann.run("flows").stdout
    on = ann.run("flows", "on", "metrics").stdout
    chinese = ann.run("flows", "off", "metrics", LANG="zh_CN.UTF-8").stdout

    assert "bailee flows on metrics" in off
    assert "on again: bailee flows on metrics" in listed
    assert "off: bailee flows off errors" in listed
    assert "Off: bailee flows off metrics" in on
    assert "重新开启：bailee flows on metrics" in chinese
    assert [False, True, False] == [act["on"] for act in ann.json("flows", "receipts")]


@pytest.mark.row("S6")
def test_on_is_refused_where_something_else_keeps_it_off_and_changes_nothing(ann: Person) -> None:
    """By the clause, with the switch that decided. The person's own word is the last to go."""
    ann.run("flows", "off", "metrics")

    refused = ann.run("flows", "on", "metrics", DISABLE_TELEMETRY="0")
    settings = ann.home / ".config/bailee/settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"flows": {"metrics": False}}))
    by_name = ann.run("flows", "on", "metrics")

    assert (3, True) == (refused.returncode, "send.no-metrics" in refused.stderr)
    assert "DISABLE_TELEMETRY in environment" in refused.stderr
    assert (3, True) == (by_name.returncode, str(settings) in by_name.stderr)
    assert 1 == len(ann.json("flows", "receipts"))
    assert "off" == ann.state()["metrics"]
    settings.unlink()
    assert 0 == ann.run("flows", "on", "metrics").returncode
    assert "on" == ann.state()["metrics"]


@pytest.mark.row("S6")
def test_what_is_no_flow_of_a_person_is_refused_with_the_way_there_is(ann: Person) -> None:
    """The work itself, a setting, the choice about training, a slip of the pen."""
    for name, hint in {
        "model": "the work itself",
        "web_fetch": "webFetch",
        "training": "bailee privacy refuse",
        "metrix": "metrics, errors, bug_report, survey",
    }.items():
        done = ann.run("flows", "off", name)
        assert (2, True) == (done.returncode, hint in done.stderr), name
    assert [] == ann.json("flows", "receipts")


@pytest.mark.row("S6")
def test_a_note_that_was_damaged_is_a_no_for_every_flow(ann: Person) -> None:
    """Nothing leaves until it is mended, and neither verb writes over it."""
    ann.run("flows", "off", "errors")
    note = ann.data / "flow-choices.json"
    note.write_text('[{"flow": "errors"}]')

    listed = ann.run("flows", "--json")
    states = {one["flow"]: one["state"] for one in json.loads(listed.stdout)}

    assert {"off"} == {states[name] for name in ("metrics", "errors", "bug_report", "survey")}
    assert str(note) in listed.stderr
    for verb in ("on", "off"):
        assert 5 == ann.run("flows", verb, "metrics").returncode
    assert '[{"flow": "errors"}]' == note.read_text()


@pytest.mark.row("S5", "S7")
def test_what_was_off_is_announced_anew_before_it_leaves(
    opened: Callable[[], Screen], ann: Person, ingest: Receiver
) -> None:
    """The first notice ends with the verbs; `/flows off` says so and gives its receipt; after `on`
    the next start says it again and sends nothing.
    """
    screen = opened()
    screen.wait("Off: `bailee flows off metrics`, `bailee flows off errors`")
    screen.submit("/flows off metrics")
    screen.wait("On again: bailee flows on metrics")
    screen.submit("/flows on metrics")
    screen.wait("Metrics: on")
    screen.submit("/quit")
    screen.end()
    again = opened()
    again.wait("Off: `bailee flows off metrics`")
    again.submit("/quit")
    again.end()

    assert [("metrics", False, "/flows off"), ("metrics", True, "/flows on")] == [
        (act["flow"], act["on"], act["way"]) for act in ann.json("flows", "receipts")
    ]
    assert [] == ingest.received


@pytest.fixture
def opened(root: Path, ann: Person, upstream: ScriptedUpstream) -> Iterator[Callable[[], Screen]]:
    """Opens `bailee code` on the machine, up to its first prompt."""
    screens = []

    def open_() -> Screen:
        environment = clean_environment(
            ann.home, **ann.environment,
            ANTHROPIC_BASE_URL=upstream.url, ANTHROPIC_AUTH_TOKEN="bl_test",
        )  # fmt: skip
        screen = Screen("code", folder=root, environment=environment, columns=160)
        screens.append(screen)
        screen.wait("(?m)^>")
        return screen

    yield open_
    for screen in screens:
        screen.close()


@pytest.mark.row("S6", "F1", "R6")
def test_off_withdraws_the_reports_that_were_sent(shared: Bailee, tmp_path: Path) -> None:
    """At a real server: the report's key is destroyed, and the server's receipt is in the act's.
    Where the server can't be asked the act says so, and the same again goes on with it.
    """
    key = shared.json("key", "create", "--plan", "pro")["key"]
    bob = Person(
        tmp_path / "bob",
        BAILEE_INGEST_URL=shared.ready["ingest"]["otlp"],
        BAILEE_API_KEY=key,
    )
    bob.put("bug_report")
    (sent,) = bob.json("outbox", "send")
    (listed,) = shared.json("feedback", "list", "--key", key)
    assert ("sent", listed["id"]) == (sent["became"], sent["answer"])

    keyless = bob.json("flows", "off", "bug_report", BAILEE_API_KEY="")
    done = bob.json("flows", "off", "bug_report")
    again = bob.json("flows", "off", "bug_report")

    (owing,) = keyless["reports"]
    assert (listed["id"], None) == (owing["report"], owing["receipt"])
    assert "BAILEE_API_KEY" in owing["why"]
    (taken,) = done["reports"]
    assert listed["id"] == taken["report"]
    assert [] == shared.json("feedback", "list", "--key", key)
    assert taken["receipt"] in json.dumps(shared.json("receipts", "show", taken["receipt"]))
    assert [] == again["reports"]
