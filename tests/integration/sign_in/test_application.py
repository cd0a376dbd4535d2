"""What clients are answered that they were seen to stumble over: one test for each trap."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from bailee.accounts import Account, ApiKey
from bailee.accounts.sign_ins import ConfirmedSignIn
from bailee.errors import StorageError
from bailee.json_values import JsonObject
from bailee.sign_in import documents
from bailee.sign_in.application import ClientSignInApplication, SettingsWish, SignInPlaces
from support.homes.town import Town

Given = Callable[..., JsonObject | None]


@dataclass
class Answered:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Desk:
    """The application over a town, and somebody who is signed in."""

    def __init__(self, folder: Path, **gives: Given) -> None:
        self.town = Town(folder)
        self.made = ClientSignInApplication(
            self.town.registry,
            lambda: SignInPlaces(None, "https://console.test"),
            lambda console: documents.notice(self.town.policy, console),
            **gives,
        )
        person, account = self.town.person("ada@example.org")
        assert account is not None
        confirmed = ConfirmedSignIn(person.person_id, account.account_id)
        self.access = self.town.registry.sign_ins.begin(confirmed, client="cli").access

    def ask(
        self, path: str, body: bytes | None = None, *, bearer: str | None = None, **headers: str
    ) -> Answered:
        """A request, as the gateway hands it over."""
        plain, _, query = path.partition("?")
        named = {"host": "gw.test", **{name.replace("_", "-"): v for name, v in headers.items()}}
        if bearer is not None:
            named["authorization"] = f"Bearer {bearer}"
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "GET" if body is None else "POST", "scheme": "https",
            "path": plain, "raw_path": plain.encode(), "query_string": query.encode(),
            "root_path": "",
            "headers": [(n.encode(), v.encode()) for n, v in named.items()],
            "client": ("192.0.2.7", 0), "server": None,
        }  # fmt: skip
        asyncio.run(self.made.app(scope, receive, send))
        start, *rest = sent
        fields = {n.decode(): v.decode() for n, v in start["headers"]}
        return Answered(start["status"], fields, b"".join(one.get("body", b"") for one in rest))


def desk(folder: Path, settings: Given = lambda *_: None, usage: Given = lambda *_: None) -> Desk:
    """One whose settings and figures are these."""
    return Desk(folder, settings=settings, usage=usage)


def test_discovery_names_what_is_at_the_address_that_the_client_knows(tmp_path: Path) -> None:
    """Endpoints of another origin are not heeded; revocation is offered."""
    said = desk(tmp_path).ask("/.well-known/oauth-authorization-server").json
    named = {name: value for name, value in said.items() if name.endswith("_endpoint")}
    assert {"https://gw.test"} == {value[: len("https://gw.test")] for value in named.values()}
    assert "https://gw.test/oauth/revoke" == named["revocation_endpoint"]


def test_nothing_of_a_grant_is_null_and_the_notice_says_what_is_recorded(tmp_path: Path) -> None:
    """Nothing that an older client can't read; the notice is short, and out of the policy."""
    for body in (b"surface=claude_code", b""):
        said = desk(tmp_path / str(len(body))).ask("/oauth/device_authorization", body).json
        assert None not in said.values()
        assert 600 == said["expires_in"]
        assert len(said["login_notice"]) <= 500
        assert "recorded" in said["login_notice"]
        assert "30 days" in said["login_notice"]


def test_without_a_document_a_client_starts(tmp_path: Path) -> None:
    """404 is the one refusal at which it does."""
    made = desk(tmp_path)
    assert 404 == made.ask("/managed/settings", bearer=made.access).status
    assert 404 == made.ask("/api/oauth/usage", bearer=made.access).status


@pytest.mark.parametrize(
    "error", [StorageError("gone"), ValueError("no"), RecursionError(), KeyError("x")]
)
def test_a_document_that_fails_keeps_nobody_from_starting(tmp_path: Path, error: Exception) -> None:
    """Nor one that can't be JSON."""

    def fails(*_: object) -> JsonObject | None:
        raise error

    made = desk(tmp_path / "a", fails)
    assert 404 == made.ask("/managed/settings", bearer=made.access).status
    wrong: Any = {"env": object()}
    other = desk(tmp_path / "b", lambda *_: wrong)
    assert 404 == other.ask("/managed/settings", bearer=other.access).status


def test_what_an_agent_must_obey_is_given_for_the_agent_that_is_asked_about(tmp_path: Path) -> None:
    """By who presents a key: with where its model is and the gateway's address; else what is left
    of pages and servers. 404 for an agent that is not known.
    """
    wishes: list[SettingsWish] = []

    def compiled(_key: ApiKey, _account: Account, wish: SettingsWish) -> JsonObject | None:
        wishes.append(wish)
        return {"agent": wish.agent} if wish.agent == "codex" else None

    made = Desk(tmp_path, bounds=lambda *_: {"bounds": {}}, compiled=compiled)
    path = "/managed/bailee"
    plain = made.ask(path, bearer=made.access)
    codex = made.ask(f"{path}?for=codex&provider=bedrock&gateway=https://g", bearer=made.access)
    usual = made.ask(f"{path}?for=codex", bearer=made.access)
    other = made.ask(f"{path}?for=", bearer=made.access)
    nobody = made.ask(f"{path}?for=codex", bearer="bl_nobody")

    assert {"bounds": {}} == plain.json["settings"]
    assert {"agent": "codex"} == codex.json["settings"] == usual.json["settings"]
    assert (404, 401) == (other.status, nobody.status)
    assert [
        SettingsWish("codex", "bedrock", "https://g"),
        SettingsWish("codex", "api", None),
        SettingsWish("", "api", None),
    ] == wishes


def test_a_document_is_wrapped_named_and_304_only_when_asked(tmp_path: Path) -> None:
    """The name is the digest of what the client would write of it; `*` asks for the document."""
    document: JsonObject = {"b": {"z": 1, "a": "é"}, "a": [True]}
    made = desk(tmp_path, lambda *_: document)

    given = made.ask("/managed/settings", bearer=made.access)
    etag = given.headers["etag"]
    again = made.ask("/managed/settings", bearer=made.access, if_none_match=etag)
    another = made.ask("/managed/settings", bearer=made.access, if_none_match='"other"')
    any_ = made.ask("/managed/settings", bearer=made.access, if_none_match="*")

    wanted = hashlib.sha256('{"a":[true],"b":{"a":"é","z":1}}'.encode()).hexdigest()
    assert {
        "uuid": f"sha256:{wanted}", "checksum": f"sha256:{wanted}", "settings": document,
    } == given.json  # fmt: skip
    assert f'"sha256:{wanted}"' == etag
    assert (200, 304, b"") == (given.status, again.status, again.body)
    assert (200, 200) == (another.status, any_.status)


def test_a_sign_in_that_is_over_is_said_at_once(tmp_path: Path) -> None:
    """401, with the field that keeps a client from asking again for minutes."""
    made = desk(tmp_path)
    answered = made.ask("/managed/settings", bearer=made.access[:-1])
    assert (401, "false") == (answered.status, answered.headers["x-should-retry"])


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (b"grant_type=password", "unsupported_grant_type"),
        (b"", "unsupported_grant_type"),
        (b"grant_type=refresh_token", "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=blr_x", "invalid_grant"),
        (b"grant_type=refresh_token&refresh_token=a&refresh_token=b", "invalid_request"),
        (b"grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=x", "expired_token"),
        (b"\xff\xfe", "invalid_request"),
        (b"a=1&" * 40, "invalid_request"),
        (b"x=" + b"y" * 9000, "invalid_request"),
    ],
)
def test_a_form_that_is_wrong_is_refused_by_the_protocols_codes(
    tmp_path: Path, form: bytes, code: str
) -> None:
    """With 400: any 5xx ends a client's attempt."""
    answered = desk(tmp_path).ask("/oauth/token", form)
    assert (400, code) == (answered.status, answered.json["error"])


def test_too_many_attempts_are_told_as_such(tmp_path: Path) -> None:
    """429, which the client has a sentence for."""
    made = desk(tmp_path)
    found = [made.ask("/oauth/device_authorization", b"").status for _ in range(31)]
    assert [200] * 30 + [429] == found


def test_revoking_what_is_no_token_is_no_error(tmp_path: Path) -> None:
    """RFC 7009, 2.2."""
    made = desk(tmp_path)
    assert 200 == made.ask("/oauth/revoke", b"token=blr_nothing").status
    assert 200 == made.ask("/oauth/revoke", f"token={made.access}".encode()).status
    assert 401 == made.ask("/managed/settings", bearer=made.access).status


@pytest.mark.row("O6")
def test_who_polls_while_the_database_is_away_goes_on(tmp_path: Path) -> None:
    """Their grant is pending: at any 5xx the client would give up. What begins is told to come
    back, and what is no device code is no question for the database.
    """
    made = desk(tmp_path)
    code = made.ask("/oauth/device_authorization", b"").json["device_code"]
    form = f"grant_type={documents.DEVICE_GRANT}&device_code={code}".encode()
    with made.town.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE pending RENAME TO away")
    polled = made.ask("/oauth/token", form)
    guessed = made.ask("/oauth/token", form[:-1] + b"x")
    begun = made.ask("/oauth/device_authorization", b"")
    with made.town.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO pending")
    again = made.ask("/oauth/token", form)

    assert (400, "authorization_pending") == (polled.status, polled.json["error"])
    assert (400, "expired_token") == (guessed.status, guessed.json["error"])
    assert (503, "5") == (begun.status, begun.headers["retry-after"])
    assert (400, "authorization_pending") == (again.status, again.json["error"])
