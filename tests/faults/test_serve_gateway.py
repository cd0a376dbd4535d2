"""Gateways of their own beside the server that has the home: on PostgreSQL, SeaweedFS and OpenBao,
each its own server, each gateway a process with a folder in which nothing is but its settings.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import secrets
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bailee.accounts.keys import key_id
from bailee.db.fencing import TABLE
from bailee.db.versions import BOUND
from bailee.home import Home, HomeLock
from bailee.node import Node
from bailee.testing.upstream import Received, Reply, ScriptedUpstream, Text
from support.clients import processes
from support.clients.programs import SECONDS, Bailee, message
from support.documents import edited
from support.roots.places import RootPlaces
from support.servers import postgres
from support.servers.buckets import BUCKET, environment

pytestmark = pytest.mark.row("O6", "R5", "G2")

LONG = 60.0
_SESSION = "6a1f0e6e-1111-4222-8333-44445555660"
_numbers = itertools.count()


class _Answers:
    """Says `ok`; slowly, in many events, to who asks for that."""

    def reply(self, request: Received) -> Reply:
        """See `Turn.reply`."""
        if b"slowly" not in request.body:
            return Text("ok").reply(request)
        return Text("one two three four five six seven eight", pause=0.3).reply(request)


class GatewayBeside:
    """One process of `bailee serve gateway`."""

    def __init__(self, folder: Path, upstream: str, names: dict[str, str], holder: str) -> None:
        folder.mkdir()
        self._settings = Bailee(folder)
        self._settings.declare(upstream)
        self._names = {**names, "BAILEE_HOLDER_URL": holder}
        self.process = processes.start(
            *("serve", "gateway", "--json", "--gateway", "127.0.0.1:0"),
            env=self._settings.environment(None, self._names),
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            raise AssertionError(f"no gateway: {self.process.stderr.read()}")
        self.ready: dict[str, Any] = json.loads(line)

    def status(self, key: str, text: str = "pear") -> int:
        """What a request of this key's is answered with."""
        try:
            message(self.ready, text, key)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        return 200

    def refusal(self, key: str) -> str:
        """Why one is refused; empty: it is not."""
        try:
            message(self.ready, "pear", key)
        except urllib.error.HTTPError as error:
            return str(json.loads(error.read())["error"]["message"])
        return ""

    def get(self, path: str, of: str = "gateway") -> tuple[int, str]:
        """What an address of its is answered with."""
        try:
            with urllib.request.urlopen(self.ready[of] + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def unconfirmed(self) -> float:
        """Since when, in seconds, it has confirmed nothing."""
        _, said = self.get("/metrics", of="health")
        (age,) = re.findall(r"^bailee_confirmation_age_seconds (\S+)", said, re.M)
        return float(age)

    def doctor(self, **other: str) -> dict[str, tuple[str, str]]:
        """How each thing is on its machine, with other settings than it has, and what is said."""
        given = self._names | other
        done = self._settings.run("doctor", "--service", "--json", env=given)
        found = json.loads(done.stdout)
        assert ("wrong" in {one["health"] for one in found}) is bool(done.returncode)
        return {one["check"]: (one["health"], one["found"]) for one in found}

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send it a signal and wait; its exit status, and what it said on standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=SECONDS)
        return self.process.wait(), errors

    def files(self) -> list[str]:
        """What lies in its folder."""
        home = self._settings.home
        return sorted(str(one.relative_to(home)) for one in home.rglob("*"))

    def close(self) -> None:
        """End it, if it runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def talk(gateway: GatewayBeside, key: str, session: str, *said: str) -> None:
    """One more turn of a conversation in which so much was said by its person."""
    turns = [{"role": "user", "content": text} for text in said]
    between = {"role": "assistant", "content": [{"type": "text", "text": "ok"}]}
    body = {
        "model": "m",
        "max_tokens": 50,
        "messages": [one for turn in turns for one in (turn, between)][:-1],
    }
    request = urllib.request.Request(
        gateway.ready["gateway"] + "/v1/messages",
        json.dumps(body).encode(),
        {"x-api-key": key, "content-type": "application/json", "x-claude-code-session-id": session},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


class Cluster:
    """A server that has the home, and two gateways beside it."""

    def __init__(self, folder: Path, bucket: str, closing: ExitStack) -> None:
        self._folder, self._closing = folder, closing
        places = RootPlaces(folder)
        closing.callback(places.close)
        root, server = places.make("transit"), postgres.shared()
        self.names = {
            **environment(bucket),
            **root.environment,
            "BAILEE_KEYRING_ROOT": root.where,
            "BAILEE_DATABASE_URL": server.new(stays=True),
            "BAILEE_KEYRING_DATABASE_URL": server.new(stays=True),
            "BAILEE_OBJECTS_URL": f"s3://{BUCKET}/beside",
            "BAILEE_SPOOL_DURABILITY": "database",
        }
        self.upstream = closing.enter_context(ScriptedUpstream(tools_only=False, after=_Answers()))
        self.holder = Bailee(folder)
        self.holder.declare(self.upstream.url)
        closing.callback(self.holder.close)
        self.holder.up(env=self.names)
        self.gateways = [self.gateway(), self.gateway()]

    def gateway(self) -> GatewayBeside:
        """One more."""
        at = self._folder / f"gateway{next(_numbers)}"
        made = GatewayBeside(at, self.upstream.url, self.names, self.holder.ready["gateway"])
        self._closing.callback(made.close)
        return made

    def key(self, *more: str) -> dict[str, Any]:
        """A new key, of a new account, that is known at both gateways."""
        given = "key", "create", "--name", f"k{next(_numbers)}", *more, "--json"
        done = self.holder.run(*given)
        assert 0 == done.returncode, done.stderr
        made: dict[str, Any] = json.loads(done.stdout)
        for one in self.gateways:
            becomes(lambda one=one: one.status(made["key"]) != 401, True)  # type: ignore[misc]
        return made

    def sessions(self, owner: str) -> list[dict[str, Any]]:
        """An account's sessions, as the server lists them."""
        every = self.holder.json("sessions", "list")
        return [one for one in every if one["account"] == owner]

    def without(self, key: str) -> None:
        """Let no server have had the home for two hours."""
        for name in self._databases():
            past = f"UPDATE {TABLE} SET until = clock_timestamp() - interval '2 hours'"
            postgres.shared().do(past, at=name)
        for one in self.gateways:
            becomes(lambda one=one: "have been away" in one.refusal(key), True)  # type: ignore[misc]

    def shut(self) -> None:
        """Have both databases end all who are in them, and let in nobody."""
        for name in self._databases():
            postgres.shared().do(
                f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                f"WHERE datname = '{name}'",
            )

    def let_in(self) -> None:
        """Have them let in who comes."""
        for name in self._databases():
            postgres.shared().do(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    def _databases(self) -> list[str]:
        addresses = "BAILEE_DATABASE_URL", "BAILEE_KEYRING_DATABASE_URL"
        return [self.names[name].rpartition("/")[2] for name in addresses]

    def activate(self, document: str) -> None:
        """Have a document hold, at each gateway."""
        file = self._folder / "ours.toml"
        file.write_text(document)
        given = "policy", "activate", str(file), "--reason", "the board's decision", "--yes"
        done = self.holder.run(*given)
        assert 0 == done.returncode, done.stderr
        self.key("--plan", "api")  # what is known of a change is known of those before it


def becomes(asked: Callable[[], object], wanted: object) -> None:
    """Wait until it is so."""
    until = time.monotonic() + LONG
    while (found := asked()) != wanted:
        assert time.monotonic() < until, f"it never was: {found}"
        time.sleep(0.05)


def good_at_all(cluster: Cluster, *keys: str) -> None:
    """Wait until each gateway answers whoever has one of these keys."""
    for one, key in itertools.product(cluster.gateways, keys):
        becomes(lambda one=one, key=key: one.status(key), 200)  # type: ignore[misc]


def gone_at_all(cluster: Cluster, *keys: str) -> None:
    """Wait until each gateway refuses whoever has one of these keys."""
    for one, key in itertools.product(cluster.gateways, keys):
        becomes(lambda one=one, key=key: one.status(key), 401)  # type: ignore[misc]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, bucket_server: str) -> Iterator[Cluster]:
    """Each test leaves it whole."""
    with ExitStack() as closing:
        yield Cluster(tmp_path_factory.mktemp("cluster"), bucket_server, closing)


def test_what_is_decided_at_the_server_is_so_at_each_gateway(cluster: Cluster) -> None:
    """A key that is made there is good at both, and one that is revoked there at neither; what is
    for no model is the server's answer, under the address that the client knows; and nothing lies
    in a gateway's folder but what was there. The server's figures count both.
    """
    made = cluster.key("--plan", "api", "--zero-retention")
    assert [200, 200] == [one.status(made["key"]) for one in cluster.gateways]
    assert 0 == cluster.holder.run("key", "revoke", made["key_id"]).returncode
    for one in cluster.gateways:
        becomes(lambda one=one: one.status(made["key"]), 401)  # type: ignore[misc]
        status, said = one.get("/.well-known/oauth-authorization-server")
        assert (200, one.ready["gateway"]) == (status, json.loads(said)["issuer"])
        assert (404, "") == one.get("/", of="health")
        status, said = one.get("/metrics", of="health")
        assert 200 == status
        assert "bailee_holder_age_seconds" in said
        assert ["bailee.toml"] == one.files()
    with urllib.request.urlopen(cluster.holder.ready["health"] + "/metrics", timeout=30) as answer:
        (beside,) = re.findall(r'bailee_members{role="gateway"} (\S+)', answer.read().decode())
    assert 2 <= float(beside)


@pytest.mark.row("T2", "C1")
def test_a_cloud_sessions_key_is_good_at_each_gateway_until_it_ends(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its session, with whoever asked for it, who is erased, and where a server begins and
    finds it left; nobody else's does with those.
    """
    mia = cluster.holder.json("person", "create", "--email", "mia@x.example", "--plan", "pro")
    other = cluster.key("--plan", "api")
    cluster.holder.end()
    home = Home(cluster.holder.home)
    environment = cluster.holder.environment(None, cluster.names)
    for name, value in environment.items():
        if name.startswith("AWS_"):  # which the SDK finds in this process's own
            monkeypatch.setenv(name, value)
    with HomeLock(home), Node.open(home, environment=environment) as node:
        ended, erased, left = (
            node.accounts.key_for_cloud_session(
                account, f"cs-{number}", zero_retention=True, by=by
            )[1]
            for number, (account, by) in enumerate(
                [(mia["account"], mia["person"])] * 2 + [(other["account"], "operator")]
            )
        )
        good_at_all(cluster, ended, erased, left)
        node.accounts.ephemeral.end_of_session("cs-0")
        gone_at_all(cluster, ended)
        good_at_all(cluster, erased, left)
    done = cluster.holder.run("person", "erase", mia["person"], "--yes", env=cluster.names)
    assert 0 == done.returncode, done.stderr
    gone_at_all(cluster, erased)
    good_at_all(cluster, left)
    cluster.holder.up(env=cluster.names)
    gone_at_all(cluster, left)


@pytest.mark.row("T2")
def test_a_runs_key_is_good_at_each_gateway_until_the_run_ends(cluster: Cluster) -> None:
    """A server that is told to stop ends its own; one that is killed leaves it good, until somebody
    revokes it at the next.
    """
    cluster.holder.end()
    cluster.holder.up(env=cluster.names)
    first: str = cluster.holder.ready["key"]
    assert cluster.holder.ready["key_is_for_this_run"]
    good_at_all(cluster, first)
    cluster.holder.end()
    gone_at_all(cluster, first)
    cluster.holder.up(env=cluster.names)
    second: str = cluster.holder.ready["key"]
    good_at_all(cluster, second)
    cluster.holder.end(signal.SIGKILL)
    good_at_all(cluster, second)
    cluster.holder.up(env=cluster.names)
    good_at_all(cluster, second, cluster.holder.ready["key"])
    done = cluster.holder.run("key", "revoke", key_id(second.encode()) or "")
    assert 0 == done.returncode, done.stderr
    gone_at_all(cluster, second)
    good_at_all(cluster, cluster.holder.ready["key"])


@pytest.mark.row("G1")
def test_what_an_account_has_on_disk_counts_at_each_gateway(cluster: Cluster) -> None:
    """Once it has as much as it may, nothing more of it is recorded anywhere; another's is; and
    where its limit is lifted, it is again.
    """
    made, other = cluster.key("--plan", "api"), cluster.key("--plan", "api")
    text = secrets.token_hex(1 << 20)  # in which little repeats
    assert [200, 200] == [one.status(made["key"], text) for one in cluster.gateways]
    limit = "account", "limit", made["account"]
    assert 0 == cluster.holder.run(*limit, "--stored-mb", "1").returncode
    for one in cluster.gateways:
        becomes(lambda one=one: one.status(made["key"]), 429)  # type: ignore[misc]
        assert 200 == one.status(other["key"])
    assert 0 == cluster.holder.run(*limit).returncode
    for one in cluster.gateways:
        becomes(lambda one=one: one.status(made["key"]), 200)  # type: ignore[misc]


def test_the_doctor_says_whether_a_gateway_starts(cluster: Cluster) -> None:
    """On its machine, where no home is; and by which setting it would not."""
    one = cluster.gateway()  # which knows where the server is now
    found = one.doctor()
    assert ["well", "well"] == [found[name][0] for name in ("gateway", "holder")]
    assert not {"home", "objects", "server"} & {*found}
    for other, names in (
        ({"BAILEE_SPOOL_DURABILITY": "local"}, "spool.durability"),
        ({"BAILEE_KEYRING_ROOT": "file"}, "root key"),
        ({"BAILEE_OBJECTS_URL": f"s3://{BUCKET}/another"}, "home"),
    ):
        health, said = one.doctor(**other)["gateway"]
        assert ("wrong", True) == (health, names in said)
    assert ["bailee.toml"] == one.files()


def test_a_gateway_that_is_told_to_stop_cuts_no_stream(cluster: Cluster) -> None:
    """The stream comes to its end, in the middle of which it was told; then the process ends, and
    has said nothing.
    """
    made = cluster.key("--plan", "api", "--zero-retention")
    third = cluster.gateway()
    at = urlsplit(third.ready["gateway"])
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=LONG)
    asked = {
        "model": "m",
        "max_tokens": 50,
        "stream": True,
        "messages": [{"role": "user", "content": "slowly"}],
    }
    fields = {"x-api-key": made["key"], "content-type": "application/json"}
    connection.request("POST", "/v1/messages", json.dumps(asked), fields)
    answer = connection.getresponse()
    assert 200 == answer.status
    answer.readline()
    third.process.send_signal(signal.SIGTERM)
    said = answer.read()
    assert b"message_stop" in said
    connection.close()
    _, errors = third.process.communicate(timeout=SECONDS)
    assert (0, "") == (third.process.wait(), errors)


def test_a_session_through_two_gateways_is_one(cluster: Cluster) -> None:
    """Its turns come over the one and the other; it is one session with all of them, on the terms
    of whoever speaks. Who chooses otherwise speaks on other terms from then on, at each gateway.
    """
    ada = cluster.holder.json("person", "create", "--email", "ada@x.example", "--plan", "pro")
    key = ada["key"]
    one, other = cluster.gateways
    for gateway in cluster.gateways:
        becomes(lambda gateway=gateway: gateway.status(key, "first") != 401, True)  # type: ignore[misc]
    said = ["medlar", "quince", "sloe", "pear"]
    for number in range(len(said)):
        talk((one, other)[number % 2], key, f"{_SESSION}1", *said[: number + 1])
    becomes(lambda: max((s["exchanges"] for s in cluster.sessions(ada["account"])), default=0), 4)
    (found,) = [s for s in cluster.sessions(ada["account"]) if s["exchanges"] == 4]
    shown = str(cluster.holder.json("sessions", "show", found["id"]))
    assert all(word in shown for word in said)
    assert "retain.consumer-undecided" == found["retention"]["clause"]
    assert 0 == cluster.holder.run("privacy", "allow", "--key", key).returncode
    for number, gateway in enumerate(cluster.gateways):

        def allowed(number: int = number, gateway: GatewayBeside = gateway) -> int:
            talk(gateway, key, f"{_SESSION}{2 + number}", "damson")
            listed = cluster.sessions(ada["account"])
            return sum(one["retention"]["clause"] == "retain.consumer-allowed" for one in listed)

        becomes(allowed, number + 1)


def test_a_gateway_that_is_killed_loses_nothing_that_was_complete(cluster: Cluster) -> None:
    """It is killed at once after its last event, and all that it answered is in the list."""
    made = cluster.key("--plan", "api")
    third = cluster.gateway()
    for number in range(3):
        talk(third, made["key"], f"{_SESSION}{5 + number}", f"bullace{number}")
    third.end(signal.SIGKILL)
    # Asking is how it was seen that both know the key, so that there are more sessions than these.
    becomes(
        lambda: sum(
            "bullace" in str(cluster.holder.json("sessions", "show", one["id"]))
            for one in cluster.sessions(made["account"])
        ),
        3,
    )


def test_gateways_share_a_limit(cluster: Cluster) -> None:
    """So many requests a day are so many in all, however many come at once over both."""
    before = len(cluster.upstream.requests)
    made = cluster.key("--plan", "api", "--zero-retention")
    used = len(cluster.upstream.requests) - before

    def limit(requests: int) -> None:
        given = "--of", made["key_id"], "--requests", str(requests), "--per", "day"
        done = cluster.holder.run("limits", "set", *given)
        assert 0 == done.returncode, done.stderr

    limit(0)
    for one in cluster.gateways:
        becomes(lambda one=one: one.status(made["key"]), 429)  # type: ignore[misc]
    limit(10)
    with ThreadPoolExecutor(8) as clients:
        answered = [*clients.map(lambda one: one.status(made["key"]), cluster.gateways * 15)]
    assert {200, 429} == {*answered}
    assert answered.count(200) in (10, 10 - used)  # what was used before may count


def test_a_gateway_begins_before_the_server(cluster: Cluster) -> None:
    """Of a home in which no server has let anybody record yet: a gateway starts, says that it is
    not ready, and why; it answers what is kept nowhere, and refuses what is to be kept. Once the
    server is there it is ready, and what it answers is in the list.
    """
    unkept = cluster.key("--plan", "api", "--zero-retention")["key"]
    kept = cluster.key("--plan", "api")
    cluster.holder.end()
    for name in ("BAILEE_DATABASE_URL", "BAILEE_KEYRING_DATABASE_URL"):
        at = cluster.names[name].rpartition("/")[2]
        postgres.shared().do("DROP TABLE bailee_members", at=at)
    third = cluster.gateway()
    status, said = third.get("/readyz")
    assert (503, ["not_joined"]) == (status, json.loads(said)["reasons"])
    assert [200, 503] == [third.status(unkept), third.status(kept["key"])]
    found = third.doctor()
    assert ("doubt", "wrong") == (found["gateway"][0], found["holder"][0])
    cluster.holder.up(env=cluster.names)
    for one in (third, *cluster.gateways):
        becomes(lambda one=one: one.get("/readyz")[0], 200)  # type: ignore[misc]
    talk(third, kept["key"], f"{_SESSION}9", "whitebeam")
    becomes(
        lambda: any(
            "whitebeam" in str(cluster.holder.json("sessions", "show", one["id"]))
            for one in cluster.sessions(kept["account"])
        ),
        True,
    )


def test_without_the_server_gateways_go_on_for_what_the_policy_says(cluster: Cluster) -> None:
    """The server is killed, and both answer; once that is longer ago than the document has it they
    refuse, and say why; with a server again they go on.
    """
    made = cluster.key("--plan", "api", "--zero-retention")
    cluster.holder.end(signal.SIGKILL)
    assert [200, 200] == [one.status(made["key"]) for one in cluster.gateways]
    cluster.without(made["key"])
    assert 503 == cluster.gateways[0].status(made["key"])
    status, said = cluster.gateways[0].get("/readyz")
    assert (200, ["holder_away"]) == (status, json.loads(said)["alerts"])
    cluster.holder.up(env=cluster.names)
    for one in cluster.gateways:
        becomes(lambda one=one: one.status(made["key"]), 200)  # type: ignore[misc]


@pytest.mark.row("P1")
def test_without_the_databases_gateways_go_on_for_what_the_policy_says(cluster: Cluster) -> None:
    """As shipped they refuse everybody once what they know is too old. Where the document says so
    they go on with keys of which nothing is kept, and refuse what can't be kept; when the databases
    are back, both are answered.
    """
    unkept = cluster.key("--plan", "api", "--zero-retention")["key"]
    kept = cluster.key("--plan", "api")["key"]
    for minutes, answered in ((0, 503), (60, 200)):
        if minutes:
            more = f"unkept = 60, gateways = {minutes}"
            cluster.activate(edited(("unkept = 60", more)))
        for one in cluster.gateways:
            becomes(lambda one=one: [one.status(unkept), one.status(kept)], [200, 200])  # type: ignore[misc]
        cluster.shut()
        try:
            for one in cluster.gateways:
                becomes(lambda one=one: one.unconfirmed() > BOUND, True)  # type: ignore[misc]
                assert [answered, 503] == [one.status(unkept), one.status(kept)]
        finally:
            cluster.let_in()
    for one in cluster.gateways:
        becomes(lambda one=one: [one.status(unkept), one.status(kept)], [200, 200])  # type: ignore[misc]
    cluster.activate(edited())
