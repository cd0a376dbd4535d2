"""The HTTP API on a running server, and the command line that reaches one elsewhere by it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from bailee.operations.routes import ROUTES
from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.programs import Bailee, message

pytestmark = pytest.mark.row("G2")


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: Any
    headers: dict[str, str]


class People(NamedTuple):
    """A server with an operator who has a key for it, and Mia, who has said something."""

    server: Bailee
    operator: str
    mia: str
    mias: dict[str, Any]

    def ask(
        self, method: str, path: str, key: str | None, body: object = None, **headers: str
    ) -> Answer:
        """One request to the API."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            given["x-api-key"] = key
        if body is not None:
            given["content-type"] = "application/json"
        place = urlsplit(self.server.ready["console_api"])
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        raw = None if body is None else json.dumps(body).encode()
        connection.request(method, f"/api/v1{path}", raw, given)
        answer = connection.getresponse()
        read, kind = answer.read(), answer.headers.get_content_type()
        connection.close()
        told = {name.lower(): value for name, value in answer.headers.items()}
        parsed = read.decode() if kind == "application/x-ndjson" else json.loads(read)
        return Answer(answer.status, parsed, told)

    def elsewhere(self, *arguments: str, key: str) -> Any:
        """A command on another machine, which has no home, and its JSON output."""
        env = {
            "BAILEE_HOME": str(self.server.home.parent / "none"),
            "BAILEE_API_KEY": key,
        }
        done = self.server.run(
            *arguments, "--json", "--server", self.server.ready["console_api"], env=env
        )
        assert (0, "") == (done.returncode, done.stderr)
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """One server for the file."""
    made = Bailee(tmp_path_factory.mktemp("api"))
    with ScriptedUpstream(tools_only=False) as upstream:
        made.up("--upstream", upstream.url)
        made.json("person", "create", "--email", "eve@x.example", "--plan", "pro", "--operator")
        operator = made.json("key", "create", "--person", "eve@x.example", "--operator")
        mia = made.json("person", "create", "--email", "mia@x.example", "--plan", "pro")
        for number in range(3):
            message(made.ready, f"pears {number}", mia["key"])
        yield People(made, operator["key"], mia["key"], mia)
        made.close()


def test_the_description_is_openapi_and_has_every_operation(people: People) -> None:
    """A validator of OpenAPI 3.1 takes it; anybody may read it."""
    described = people.ask("GET", "/openapi.json", None).body

    assert [] == list(OpenAPIV31SpecValidator(described).iter_errors())
    found = {one["operationId"] for path in described["paths"].values() for one in path.values()}
    assert {"sessions.list", "person.create", "hold.place", "cloud.start"} <= found


def test_a_person_sees_their_own_and_the_operator_everybodys(people: People) -> None:
    """In pages of as many as were asked for, each session once; of others nothing is there."""
    own = people.ask("GET", "/sessions", people.mia).body
    first = people.ask("GET", "/sessions?limit=2", people.operator).body
    rest = people.ask("GET", f"/sessions?limit=2&after={first['next']}", people.operator).body
    stranger = people.server.json("person", "create", "--email", "s@x.example", "--plan", "pro")
    session = own["items"][0]["id"]

    assert 3 == len(own["items"])
    assert {one["id"] for one in own["items"]} == {
        one["id"] for one in first["items"] + rest["items"]
    }
    assert (2, 1, None) == (len(first["items"]), len(rest["items"]), rest["next"])
    hidden = people.ask("GET", f"/sessions/{session}/transcript", stranger["key"])
    assert (404, "not_found") == (hidden.status, hidden.body["error"]["code"])
    lines = people.ask("GET", f"/sessions/{session}/export", people.mia).body.splitlines()
    assert "session" == json.loads(lines[0])["type"]


def test_a_key_that_was_not_made_for_it_does_not_speak_for_the_operator(people: People) -> None:
    """Also of a person who is one; and the operator's opens no gateway and makes no other."""
    plain = people.server.json("key", "create", "--person", "eve@x.example")
    body = {"name": "more", "person": "eve@x.example", "operator": True}

    refused = people.ask("GET", "/holds", plain["key"])
    made = people.ask("POST", "/keys", people.operator, body)
    with pytest.raises(Exception, match="401"):
        message(people.server.ready, "pears", people.operator)

    assert (403, "forbidden") == (refused.status, refused.body["error"]["code"])
    assert (403, "forbidden") == (made.status, made.body["error"]["code"])


def test_what_is_anothers_is_read_for_a_reason_that_goes_on_record(people: People) -> None:
    """Without one it is refused, and nothing is entered."""
    session = people.ask("GET", "/sessions", people.mia).body["items"][0]["id"]
    path = f"/sessions/{session}/transcript"

    bare = people.ask("GET", path, people.operator)
    read = people.ask("GET", f"{path}?reason=matter%2012", people.operator)
    entries = people.ask("GET", f"/audit?kind=access.read&subject={session}", people.operator).body

    assert (400, 200) == (bare.status, read.status)
    (entry,) = entries["items"]
    assert "matter 12" == entry["body"]["reason"]
    assert entry["body"]["by"].startswith("per_")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/sessions?limit=0", None, 400, "invalid_request"),
        ("GET", "/sessions?limit=2&limit=3", None, 400, "invalid_request"),
        ("GET", "/sessions?now=2020-01-01T00:00:00Z", None, 400, "invalid_request"),
        ("POST", "/holds", {"session": 7, "reason": "r"}, 400, "invalid_request"),
        ("POST", "/holds", {"session": "x"}, 400, "invalid_request"),
        ("POST", "/holds", ["x"], 400, "invalid_request"),
        ("POST", "/holds?session=x", {"reason": "r"}, 400, "invalid_request"),
        ("GET", "/nothing", None, 404, "not_found"),
        ("PATCH", "/holds", {}, 405, "method_not_allowed"),
    ],
)
def test_what_is_wrong_is_refused_in_one_shape(
    people: People, method: str, path: str, body: object, status: int, code: str
) -> None:
    """By status and code, in JSON."""
    answer = people.ask(method, path, people.operator, body)
    assert (status, code) == (answer.status, answer.body["error"]["code"])
    assert {"type", "code", "message", "hint"} == set(answer.body["error"])


def test_without_a_good_key_nothing_is_told(people: People) -> None:
    """At no route: neither without one, nor with one that is not good."""
    for key in (None, "bl_0000000000_" + "0" * 48):
        for route in ROUTES.values():
            answer = people.ask(route.method, route.path.replace("{", "").replace("}", ""), key)
            assert (401, "authentication") == (answer.status, answer.body["error"]["code"]), route


def test_a_cookie_reads_and_changes_nothing_from_elsewhere(people: People) -> None:
    """A page of another site can't make a browser change something."""
    visitor = Visitor(people.server.ready["console"])
    visitor.get(people.server.run("sign-in").stdout.strip())
    cookie = "; ".join(f"{one.name}={one.value}" for one in visitor.jar)
    wanted = {"session": "none", "reason": "r"}

    read = people.ask("GET", "/holds", None, cookie=cookie)
    foreign = people.ask("POST", "/holds", None, wanted, cookie=cookie)
    ours = people.ask("POST", "/holds", None, wanted, cookie=cookie, sec_fetch_site="same-origin")

    assert (200, 403, 404) == (read.status, foreign.status, ours.status)


def test_with_an_idempotency_key_it_is_done_once(people: People) -> None:
    """Asked again, at once from many sides, and with another body."""
    body = {"email": "once@x.example", "plan": "pro"}

    def ask(_number: int) -> Answer:
        return people.ask("POST", "/people", people.operator, body, idempotency_key="k-1")

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(ask, range(4)))
    again = ask(0)
    other = people.ask(
        "POST", "/people", people.operator, {**body, "plan": "max"}, idempotency_key="k-1"
    )
    theirs = people.ask("POST", "/people", people.mia, body, idempotency_key="k-1")

    assert {200, 409} >= {one.status for one in answers}
    made = {one.body["key"] for one in answers if one.status == 200}
    assert {again.body["key"]} == made
    assert ("true", 409, 403) == (
        again.headers["idempotent-replayed"], other.status, theirs.status,
    )  # fmt: skip
    assert not people.server.holds(made.pop().encode())


def test_another_key_of_the_same_person_is_not_told_what_was_answered(people: People) -> None:
    """Who has an operator's plain key is refused, whatever their other key was answered."""
    plain = people.server.json("key", "create", "--person", "eve@x.example")["key"]
    body = {"email": "twice@x.example", "plan": "pro"}
    made = people.ask("POST", "/people", people.operator, body, idempotency_key="k-2")

    told = people.ask("POST", "/people", plain, body, idempotency_key="k-2")

    assert (200, 403, "forbidden") == (made.status, told.status, told.body["error"]["code"])


def test_what_was_sent_wrong_is_no_failure_of_the_server(people: People) -> None:
    """Also where a setting of the operator's has the same form."""
    bodies = {
        "/policy/trials": ({"document": "[["}, "policy_document"),
        "/cloud/network/denied": ({"entry": "a..b"}, "invalid_request"),
    }
    for path, (body, code) in bodies.items():
        answer = people.ask("POST", path, people.operator, body)
        assert (400, code) == (answer.status, answer.body["error"]["code"])


def test_the_command_line_reaches_a_server_elsewhere(people: People) -> None:
    """The same output as on the server's own machine; and a plain error where there is no key."""
    here = people.server.json("sessions", "list")
    there = people.elsewhere("sessions", "list", key=people.operator)
    session = there[0]["id"]
    made = people.elsewhere(
        "person", "create", "--email", "far@x.example", "--plan", "pro", key=people.operator
    )
    env = {"BAILEE_HOME": str(people.server.home.parent / "none")}
    bare = people.server.run(
        "hold", "list", "--server", people.server.ready["console_api"], env=env
    )
    nowhere = people.server.run(
        "hold", "list", "--server", "http://127.0.0.1:9", env={**env, "BAILEE_API_KEY": "x"}
    )

    assert here == there
    assert people.server.json(
        *("sessions", "show", session, "--as", "eve@x.example", "--reason", "a comparison")
    ) == people.elsewhere("sessions", "show", session, key=people.mia)
    assert made["person"] in {one["person"] for one in people.server.json("person", "list")}
    assert (2, True) == (bare.returncode, "BAILEE_API_KEY" in bare.stderr)
    assert (4, True) == (nowhere.returncode, "can't be reached" in nowhere.stderr)
    assert not (people.server.home.parent / "none").exists()
