"""kill -9 of the server in the middle of each way to sign in: the next one goes on with it."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.browsers.authenticator import Authenticator
from support.browsers.browsing import Visitor
from support.clients import processes
from support.clients.claude_code import Claude, ElseWhere
from support.clients.programs import SIGN_UP, Bailee, clean_environment, message
from support.servers.office import Office, confirm
from support.servers.openid import SECRET, provider, walk

pytestmark = pytest.mark.row("O1", "O6", "D4")

PASSWORD = "seven pear trees in a row"
BACK = "/sign-in/organisation/return"


class Desk:
    """An office whose server is killed, and starts again where it was."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.bailee = office.bailee

    @property
    def console(self) -> str:
        """The console's address."""
        return str(self.bailee.ready["console"])

    def killed(self) -> None:
        """The server is no more, and another takes its place at the same addresses."""
        self.bailee.stop(signal.SIGKILL)
        start(self.bailee, self.office.upstream)

    def ada(self) -> Visitor:
        """Somebody who has signed up with a password."""
        visitor = Visitor(self.console)
        fields = {"email": "ada@x.example", "password": PASSWORD, "plan": "pro"}
        visitor.submit("/sign-up", "/sign-up", {**fields, "choice": "refused"})
        return visitor


def start(bailee: Bailee, upstream: ScriptedUpstream) -> None:
    """A server, where the last one was."""
    before, at = bailee.ready, []
    if before:
        gateway, console = (urlsplit(before[name]).port for name in ("gateway", "console"))
        at = ["--gateway", f"127.0.0.1:{gateway}", "--console", f"127.0.0.1:{console}"]
    bailee.up("--upstream", upstream.url, *at, env={**SIGN_UP, "ORCHARD_SECRET": SECRET})
    assert not before or before["console"] == bailee.ready["console"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for the file."""
    folder = tmp_path_factory.mktemp("desk")
    bailee = Bailee(folder)
    with ScriptedUpstream(tools_only=False) as upstream:
        try:
            start(bailee, upstream)
            disabled, groups = folder / "disabled", folder / "groups"
            groups.write_text("{}")
            people = {
                one: {"email": f"{one}@orchard.example", "email_verified": True}
                for one in ("ina", "ivo")
            }
            console = bailee.ready["console"]
            with provider(console, people, disabled=disabled, groups=groups) as issuer:
                made = bailee.json("organisation", "create", "Orchard", "--plan", "team")
                bailee.json(
                    "organisation", "provider", made["organisation"],
                    "--domain", "orchard.example", "--issuer", issuer,
                    "--client-id", "bailee", "--secret-env", "ORCHARD_SECRET",
                )  # fmt: skip
                given = (made["organisation"], disabled, groups, "orchard.example")
                yield Desk(Office(bailee, upstream, *given))
        finally:
            bailee.close()


def test_a_link_that_was_printed_before_is_good_once(desk: Desk) -> None:
    """The one of the server that is gone, as the one of the server that runs."""
    link = desk.bailee.ready["sign_in"]
    desk.killed()
    first, second = Visitor(desk.console).get(link), Visitor(desk.console).get(link)
    fresh = Visitor(desk.console).get(desk.bailee.ready["sign_in"])
    assert (200, 401, 200) == (first.status, second.status, fresh.status)
    assert desk.console + "/" == first.url


def test_a_passkey_is_added_and_signs_in(desk: Desk) -> None:
    """Both challenges are of a server that was killed; each is good once."""
    ada = desk.ada()
    token = ada.token("/settings/account")
    passkey = Authenticator(desk.console, urlsplit(desk.console).hostname or "")
    begun = json.loads(ada.post("/settings/account/passkeys/begin", {}, token).text)
    desk.killed()
    said = {"token": begun["token"], "credential": json.dumps(passkey.create(begun["options"]))}
    added, again = (ada.post("/settings/account/passkeys", said, token) for _ in range(2))

    later = Visitor(desk.console)
    token = later.token("/sign-in")
    begun = json.loads(later.post("/sign-in/passkey/begin", {}, token).text)
    desk.killed()
    said = {"token": begun["token"], "credential": json.dumps(passkey.get(begun["options"]))}
    signed_in, other = later.post("/sign-in/passkey", said, token), Visitor(desk.console)
    replayed = other.post("/sign-in/passkey", said, other.token("/sign-in"))

    assert (200, 401) == (added.status, again.status), added.text
    assert (200, 401) == (signed_in.status, replayed.status), signed_in.text
    assert 200 == later.get("/settings/account").status


def test_who_was_sent_to_a_provider_comes_back(desk: Desk) -> None:
    """To the next server, in the browser that was sent, and in no other; once."""
    visitor, thief = Visitor(desk.console), Visitor(desk.console)
    page = visitor.submit("/sign-in", "/sign-in/organisation", {"email": "ina@orchard.example"})
    leaving = re.search(r'class="button chief" href="([^"]+)"', page.text)
    assert leaving is not None, page.text
    desk.killed()
    answer = urlencode(walk(desk.console + BACK, unescape(leaving[1]), "ina"))
    stolen = thief.get(f"{BACK}?{answer}")
    came = visitor.get(f"{BACK}?{answer}")
    again = visitor.get(f"{BACK}?{answer}")

    assert (401, 200, 401) == (stolen.status, came.status, again.status)
    assert 200 == visitor.get("/settings/account").status


def test_a_client_is_signed_in_whatever_dies_in_between(desk: Desk) -> None:
    """The server is killed after each step: when the grant has begun, when its person is back from
    the provider, when they have confirmed it. The client has what it should have, its renewal by
    the provider too.
    """
    begun = desk.office.begin()
    desk.killed()
    waits = desk.office.claim(begun["device_code"])
    visitor = desk.office.engineer("ivo", begun["user_code"])
    desk.killed()
    done = confirm(visitor, begun["user_code"])
    desk.killed()
    given, again = (desk.office.claim(begun["device_code"]) for _ in range(2))
    message(desk.bailee.ready, "hello", given.body["access_token"])
    renewed = desk.office.renew(given.body["refresh_token"])

    assert "authorization_pending" == waits.body["error"]
    assert "The client is signed in" in done
    assert (200, 400, "expired_token") == (given.status, again.status, again.body["error"])
    assert (200, "ivo@orchard.example") == (renewed.status, renewed.body["email"])


def test_bailee_login_waits_for_the_next_server(desk: Desk, tmp_path: Path) -> None:
    """It says that the gateway is away, and goes on; its person confirms at the next one."""
    environment = clean_environment(tmp_path, CI="1")
    login = processes.start(
        "login", desk.office.gateway, "--no-browser", env=environment, folder=tmp_path
    )
    assert login.stderr is not None
    shown = ""
    while "code: " not in shown:
        shown += login.stderr.readline()
    code = shown.rpartition("code: ")[2].strip()
    desk.bailee.stop(signal.SIGKILL)
    while "can't be reached" not in shown:
        shown += login.stderr.readline()
    start(desk.bailee, desk.office.upstream)
    desk.office.confirmed("ina", code)
    said, _ = login.communicate(timeout=60)

    assert 0 == login.wait()
    assert f"signed in at {desk.office.gateway} as ina@orchard.example" in said


def test_an_unmodified_client_is_signed_in_at_the_next_server(
    desk: Desk, claude: Path, tmp_path: Path
) -> None:
    """It shows the code of a server that is killed, and is confirmed at the one after."""
    elsewhere = ElseWhere()
    client = Claude(claude, tmp_path, desk.office.gateway, elsewhere)

    def confirmed(code: str) -> None:
        desk.killed()
        desk.office.confirmed("ina", code)

    client.sign_in(confirmed)
    elsewhere.close()

    assert "ina@orchard.example" == client.kept["email"]
    assert [] == elsewhere.asked
