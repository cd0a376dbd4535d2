"""`bailee up`: starting, stopping, starting again, and what it refuses."""

from __future__ import annotations

import http.client
import json
import re
import signal
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pexpect
import pytest
import trustme

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee, message
from support.documents import edited

Serve = Callable[..., Bailee]


def test_it_says_where_it_is_and_works(served: Serve, upstream: ScriptedUpstream) -> None:
    """The JSON line has what a script needs; the key in it works at the address in it."""
    upstream.then(Text("Good day."))
    bailee = served()

    answer = message(bailee.ready, "Hello")

    assert bailee.ready["ready"] is True
    assert "Good day." == answer["content"][0]["text"]
    assert str(bailee.home) == bailee.ready["home"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_and_starts_again(
    served: Serve, upstream: ScriptedUpstream, number: int
) -> None:
    """After a signal it ends with status 0 and no complaint; the next start has all there was."""
    bailee = served()
    first = bailee.ready["key"]
    message(bailee.ready, "before")

    assert 0 == bailee.stop(number)
    served()
    message(bailee.ready, "after", key=first)
    message(bailee.ready, "after, with the key for this run")

    assert bailee.ready["key_is_for_this_run"] is True
    assert 3 == len(bailee.sessions(3))
    assert 0 == bailee.stop()
    assert 3 == len(bailee.sessions(3))


def test_two_at_once_on_one_home_are_refused(served: Serve) -> None:
    """The second names the first's process and ends with status 2; the first goes on."""
    bailee = served()

    second = bailee.spawn()
    _, errors = second.communicate(timeout=30)

    assert 2 == second.returncode
    assert f"in use by process {bailee.ready['pid']}" in errors
    assert "hint:" in errors
    message(bailee.ready, "still here")


@pytest.mark.parametrize("seen", [True, False], ids=["terminal", "log"])
def test_keys_are_written_to_a_terminal_alone(bailee: Bailee, seen: bool) -> None:
    """What a service writes is kept by others: there it says how to have a key and a link."""
    terminal = pexpect.spawn(
        "/bin/sh",
        ["-c", '"$0" -m bailee up "$@"' + ("" if seen else " | cat"), sys.executable,
         "--gateway", "127.0.0.1:0", "--console", "127.0.0.1:0", "--ingest", "127.0.0.1:0"],
        env=bailee.environment(),  # type: ignore[arg-type]
        encoding="utf-8",
        timeout=60,
        dimensions=(60, 300),
    )  # fmt: skip
    terminal.expect("as it ends:")
    said = terminal.before
    key, link = bailee.run("key", "create", "--plan", "api"), bailee.run("sign-in")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    secrets = re.findall(r"bl_[0-9a-f]{8,}_[0-9a-f]+|token=[0-9a-f]+", said)
    assert seen == bool(secrets)
    assert ("written to a terminal alone; make one with `bailee key create" in said) is not seen
    assert (0, 0) == (key.returncode, link.returncode)


def test_too_few_descriptors_are_refused(bailee: Bailee) -> None:
    """A server that could not sweep never says that it is ready: one sentence, nothing made."""
    program = "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); "
    program += "runpy.run_module('bailee', run_name='__main__', alter_sys=True)"
    done = subprocess.run(
        (sys.executable, "-c", program, "up", "--json"),
        env={"BAILEE_HOME": str(bailee.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert "this process may have 64 files open at once; to serve takes 192." in done.stderr
    assert "Traceback" not in done.stderr
    assert not bailee.home.exists()


def test_plain_http_beyond_loopback_is_refused(bailee: Bailee) -> None:
    """Prompts cross the network under TLS only; the hint says how."""
    process = bailee.spawn("--gateway", "0.0.0.0:0")
    _, errors = process.communicate(timeout=30)

    assert 2 == process.returncode
    assert "Plain HTTP" in errors
    assert "--tls-cert" in errors


def test_a_taken_address_is_an_error_with_a_hint(served: Serve, tmp_path: Path) -> None:
    """Not a stack trace."""
    first = served()
    (tmp_path / "other").mkdir()
    other = Bailee(tmp_path / "other")

    process = other.spawn("--gateway", first.ready["gateway"].removeprefix("http://"))
    _, errors = process.communicate(timeout=30)

    assert 2 == process.returncode
    assert "can't listen" in errors
    assert "Traceback" not in errors


def test_everything_lies_in_the_home_for_its_owner_alone(served: Serve, tmp_path: Path) -> None:
    """No file for others to read, and none outside."""
    bailee = served()
    message(bailee.ready, "hello")
    bailee.stop()

    modes = {
        str(path.relative_to(bailee.home)): stat.S_IMODE(path.stat().st_mode)
        for path in bailee.home.rglob("*")
    }
    assert {} == {path: oct(mode) for path, mode in modes.items() if mode & 0o077}
    assert [] == list((tmp_path / "user").iterdir())


def test_settings_come_from_the_home(bailee: Bailee, upstream: ScriptedUpstream) -> None:
    """`bailee.toml` sets what the command line did not; a mistake in it is refused."""
    bailee.home.mkdir()
    file = bailee.home / "bailee.toml"
    file.write_text(f'[upstream]\nurl = "{upstream.url}"\n')
    assert upstream.url == bailee.up()["upstream"]
    bailee.stop()

    file.write_text("[upstream]\nurll = 1\n")
    process = bailee.spawn()
    _, errors = process.communicate(timeout=30)

    assert 2 == process.returncode
    assert "upstream.urll" in errors


@pytest.mark.row("D1")
def test_the_upstream_key_is_the_servers_and_the_clients_key_stays(
    bailee: Bailee, upstream: ScriptedUpstream
) -> None:
    """The model's service gets its own key and never the client's."""
    ready = bailee.up(
        "--upstream", upstream.url, "--upstream-key-env", "MODEL_KEY", env={"MODEL_KEY": "sk-real"}
    )

    message(ready, "hello")

    assert "sk-real" == upstream.conversations[0].header("x-api-key")
    assert ready["key"].encode() not in upstream.conversations[0].raw
    bailee.stop()
    assert [] == bailee.holds(b"sk-real")


def test_revoking_a_key_holds_for_the_next_request(served: Serve) -> None:
    """Revoked from another process, refused at once, in the API's own error shape."""
    bailee = served()
    made = bailee.json("key", "create", "--plan", "team", "--name", "laptop")
    message(bailee.ready, "hello", key=made["key"])

    bailee.json("key", "revoke", made["key_id"])

    with pytest.raises(urllib.error.HTTPError) as refused:
        message(bailee.ready, "hello again", key=made["key"])
    assert 401 == refused.value.code
    assert "authentication_error" == json.loads(refused.value.read())["error"]["type"]


@pytest.mark.row("P4")
def test_what_happened_is_in_the_audit_record(served: Serve) -> None:
    """Keys, the policy that holds, a deletion: each an entry, in order, with no content."""
    bailee = served()
    message(bailee.ready, "the gooseberry incident")
    (session,) = bailee.sessions()
    bailee.json("sessions", "delete", session["id"])

    entries = bailee.json("audit", "list")

    kinds = [entry["kind"] for entry in entries]
    assert "policy.activated" == kinds[0]
    assert {"account.created", "key.created"} <= set(kinds)
    assert session["id"] in {entry["subject"] for entry in entries}
    assert "gooseberry" not in json.dumps(entries)


@pytest.mark.row("D1")
def test_tls_opens_every_address(
    bailee: Bailee, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """With a certificate it may listen beyond loopback, gateway and console both; what crosses is
    TLS 1.2 or later, and plain HTTP gets no answer there.
    """
    authority, certificate, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    made = trustme.CA()
    made.cert_pem.write_to_path(str(authority))
    issued = made.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    key.chmod(0o600)
    upstream.then(Text("under the rose"))
    ready = bailee.up(
        "--upstream", upstream.url, "--tls-cert", str(certificate), "--tls-key", str(key),
        "--gateway", "0.0.0.0:0", "--console", "0.0.0.0:0",
    )  # fmt: skip
    trusting = ssl.create_default_context(cafile=str(authority))
    port = urlsplit(ready["gateway"]).port

    request = urllib.request.Request(
        f"https://127.0.0.1:{port}/v1/messages",
        json.dumps({"model": "m", "max_tokens": 9, "messages": []}).encode(),
        {"x-api-key": ready["key"]},
    )
    with urllib.request.urlopen(request, context=trusting, timeout=30) as response:
        assert b"under the rose" in response.read()
    console = ready["console"].replace("0.0.0.0", "127.0.0.1")
    with urllib.request.urlopen(console + "/data-usage", context=trusting) as response:
        assert 200 == response.status
    with pytest.raises((OSError, http.client.HTTPException)):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


@pytest.mark.row("G1")
def test_a_home_that_others_could_change_is_refused(bailee: Bailee, tmp_path: Path) -> None:
    """In a folder that everybody can write to, and with `root` a link: at a start and at any
    command, with what to do; nothing is made.
    """
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    bailee.home.mkdir()
    (bailee.home / "root").symlink_to(theirs)
    for arguments in (("up", "--gateway", "127.0.0.1:0"), ("key", "list"), ("config", "show")):
        refused = bailee.run(*arguments)
        assert 2 == refused.returncode
        assert "root is no folder. hint: put a folder there" in " ".join(refused.stderr.split())
    (bailee.home / "root").unlink()
    tmp_path.chmod(0o777)
    refused = bailee.run("up", "--gateway", "127.0.0.1:0")
    assert 2 == refused.returncode
    assert f"chmod go-w {tmp_path}" in " ".join(refused.stderr.split())
    assert [] == [*theirs.iterdir(), *bailee.home.iterdir()]


@pytest.mark.row("P1", "P5")
def test_what_becomes_of_settings_is_said_before_a_document_holds(
    bailee: Bailee, served: Serve, tmp_path: Path
) -> None:
    """Which it closes, by which clause, and which hold: when it is tried, and before it is
    activated; then by the doctor, and by the server at its next start.
    """
    bailee.declare("http://127.0.0.1:9")
    with (bailee.home / "bailee.toml").open("a") as file:
        file.write("[retention]\nshred_hours = 12\n[backup]\nkeys_hours = 300\n")
    document = tmp_path / "ours.toml"
    document.write_text(edited(('at_most = "P14D"', 'at_most = "PT48H"')))
    served()
    tried = bailee.run("policy", "try", str(document))
    hold = ("policy", "activate", str(document), "--reason", "the board's decision", "--yes")
    made = bailee.run(*hold)
    told = json.loads(bailee.run("doctor", "--service", "--json").stdout)
    first, _ = bailee.end()
    served()
    second, said = bailee.end()

    for done in (tried, made):
        assert 0 == done.returncode, done.stderr
        words = [" ".join(line.split()) for line in done.stdout.splitlines()]
        assert "setting now then" in words
        assert "retention.shred_hours holds holds" in words
        assert "backup.keys_hours holds closed by bound.key-snapshots" in words
    found = [one["found"] for one in told if one["check"] == "policy"]
    assert 1 == len(found)
    assert "backup.keys_hours goes further than the document (bound.key-snapshots)" in found[0]
    assert (0, 0) == (first, second)
    assert "the setting backup.keys_hours goes further than the policy document" in said
    assert "shred_hours" not in said
