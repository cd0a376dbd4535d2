"""Who has to choose before anything of theirs is sent is asked in `bailee code`, and goes on.

Rows: T3, O1.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailee.policy.loading import content
from bailee.testing.upstream import ScriptedUpstream, Text
from support.browsers.browsing import Visitor
from support.clients import processes
from support.clients.programs import SIGN_UP, SILENT, Bailee, clean_environment, message
from support.clients.terminal import Screen
from support.servers.office import Office, confirm
from support.servers.openid import SECRET, provider

LAST_ANSWER = r"3 l  \S"
SAID = "When the last day has passed without a choice"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A server whose document has work wait for the choice, and an organisation with a provider."""
    folder = tmp_path_factory.mktemp("choice")
    document = folder / "policy.toml"
    document.write_bytes(content().replace(b'then = "ask"', b'then = "require"'))
    bailee = Bailee(folder)
    with ScriptedUpstream(tools_only=False, after=Text("plums")) as upstream:
        bailee.up(
            "--upstream",
            upstream.url,
            env={**SIGN_UP, "ORCHARD_SECRET": SECRET, "BAILEE_POLICY_DOCUMENT": str(document)},
        )
        try:
            disabled, groups = folder / "disabled", folder / "groups"
            groups.write_text("{}")
            ina = {"ina": {"email": "ina@orchard.example", "email_verified": True}}
            with provider(bailee.ready["console"], ina, disabled=disabled, groups=groups) as issuer:
                made = bailee.json("organisation", "create", "Orchard", "--plan", "team")
                bailee.json(
                    "organisation", "provider", made["organisation"],
                    "--domain", "orchard.example", "--issuer", issuer,
                    "--client-id", "bailee", "--secret-env", "ORCHARD_SECRET",
                )  # fmt: skip
                yield Office(
                    *(bailee, upstream, made["organisation"], disabled, groups),
                    "orchard.example",
                )
        finally:
            bailee.close()


def logged_in(office: Office, visitor: Visitor, environment: dict[str, str], folder: Path) -> None:
    """`bailee login`, confirmed in the browser of who works on their own terms."""
    login = processes.start("login", office.gateway, "--no-browser", env=environment, folder=folder)
    assert login.stderr is not None
    shown = ""
    while "code: " not in shown:
        line = login.stderr.readline()
        assert line, shown
        shown += line
    done = confirm(visitor, shown.rpartition("code: ")[2].strip(), place="own")
    assert "The client is signed in" in done, done
    login.communicate(timeout=60)
    assert 0 == login.returncode


def test_work_waits_for_the_choice_and_goes_on_with_it(office: Office, tmp_path: Path) -> None:
    """By the company's provider, on their own terms, with no key and no address of the console's:
    nothing is sent and the clause says why; the question comes at the terminal; with an answer to
    it, work goes on. What their organisation pays for waits for nobody's choice.
    """
    bailee, project = office.bailee, tmp_path / "project"
    project.mkdir()
    environment = clean_environment(tmp_path, **SILENT)
    own = bailee.json("person", "create", "--email", "ina@orchard.example", "--plan", "pro")
    bailee.json("organisation", "member", "add", office.organisation, "ina@orchard.example")
    visitor = office.engineer("ina", "")
    logged_in(office, visitor, environment, project)
    begun = office.begin()
    work = office.engineer("ina", begun["user_code"])
    at_work = confirm(work, begun["user_code"], place=office.organisation)
    paid = message(bailee.ready, "hello", office.claim(begun["device_code"]).body["access_token"])

    def code() -> subprocess.CompletedProcess[str]:
        return processes.run("code", "-p", "hello", env=environment, folder=project, timeout=60)

    refused = code()
    sent = len(office.upstream.conversations) - 1
    screen = Screen("code", folder=project, environment=environment, columns=250)
    try:
        screen.wait(LAST_ANSWER)
        screen.type("l")
        screen.wait("training is not allowed until you allow it")
        screen.submit("hello")
        screen.wait(SAID)
    finally:
        screen.close()
    put_off = len(office.upstream.conversations) - 1
    screen = Screen("code", folder=project, environment=environment, columns=250)
    try:
        screen.wait(LAST_ANSWER)
        screen.type("d")
        screen.wait("train.consumer-refused")
        screen.submit("hello")
        screen.wait("plums")
    finally:
        screen.close()
    worked = code()
    (record,) = bailee.json("privacy", "history", "--key", own["key"])

    assert "The client is signed in" in at_work and "message" == paid["type"]
    assert 0 != refused.returncode
    assert SAID in refused.stdout + refused.stderr
    assert "choose.existing-late" in refused.stdout + refused.stderr
    assert 0 == sent == put_off
    assert (0, "plums") == (worked.returncode, worked.stdout.strip())
    assert ("none", "refused", "api") == (record["old"], record["new"], record["source"])
