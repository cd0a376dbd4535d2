"""What `bailee doctor --service` finds: each thing well, and broken, where it is broken."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from bailee import config
from bailee.app import doctor, doctor_beside, doctor_storage
from bailee.app.doctor import examine
from bailee.app.doctor_findings import ExaminedHome, Fitness, MachineFinding
from bailee.clock import system_clock
from bailee.home import Home
from bailee.node.node import Node
from bailee.testing.tampering import tamper
from bailee.words import LANGUAGES, words
from support.clients.programs import Bailee

pytestmark = pytest.mark.row("O5")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that was made, and has keys."""
    made = Home(tmp_path / "home")
    made.make()
    with Node.open(made):
        pass
    return made


def _found(
    home: Home, environment: Mapping[str, str] | None = None, **given: str
) -> list[MachineFinding]:
    table = {name.replace("__", "."): value for name, value in given.items()}
    settings = config.load(home.settings_file, environment or {}, table)
    clean = {"PATH": os.environ["PATH"], "BAILEE_CLOUD_IMAGES": str(home.path / "none")}
    return list(examine(ExaminedHome(home, settings, {**clean, **(environment or {})})))


def _of(found: list[MachineFinding], check: str) -> list[tuple[Fitness, str]]:
    return [(one.health, one.said) for one in found if one.check == check]


@contextmanager
def _site(
    certificate: trustme.LeafCert | None = None, *, ahead: timedelta = timedelta()
) -> Iterator[str]:
    """A site that answers /healthz as bailee does, with a clock of its own."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert "authorization" not in self.headers and "x-api-key" not in self.headers
            status = 200 if self.path in ("/healthz", "/v1") else 404
            self.send_response_only(status)
            self.send_header("date", format_datetime(system_clock() + ahead, usegmt=False))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        scheme = "http" if certificate is None else "https"
        yield f"{scheme}://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _digest(home: Home) -> dict[str, str]:
    files = (path for path in home.path.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_it_finds_a_home_well_and_changes_nothing(home: Home) -> None:
    """Keys, disk and descriptors; the same files with the same bytes afterwards."""
    before = _digest(home)
    found = _found(home)
    assert before == _digest(home)
    assert not [one for one in found if one.health is Fitness.WRONG]
    assert _of(found, "home") == [(Fitness.WELL, "home_there")]
    assert _of(found, "keyring") == [(Fitness.WELL, "keyring_opens")]
    assert _of(found, "upstream") == [(Fitness.DOUBT, "upstream_embedded")]
    assert (Fitness.DOUBT, "image_missing") in _of(found, "machines") or (
        _of(found, "machines") == [(Fitness.DOUBT, "qemu_missing")]
    )


def test_a_new_home_is_looked_at_before_it_is_made(tmp_path: Path) -> None:
    """Whoever sets one up asks first."""
    found = _found(Home(tmp_path / "not" / "there"))
    assert _of(found, "home") == [(Fitness.WELL, "home_new")]
    assert _of(found, "keyring") == [(Fitness.WELL, "keyring_none")]
    assert not (tmp_path / "not").exists()


def test_what_is_wrong_with_the_home_is_said_and_the_rest_goes_on(home: Home) -> None:
    """Without its root key nothing opens; in a folder that others write to nothing is safe."""
    home.root_key_file.unlink()
    home.path.parent.chmod(0o777)
    found = _found(home)
    (keyring,) = [one for one in found if one.check == "keyring"]
    (place,) = [one for one in found if one.check == "home"]
    assert keyring.health is place.health is Fitness.WRONG
    assert keyring.error is not None and place.error is not None
    assert _of(found, "disk") == [(Fitness.WELL, "disk_free")]
    assert not home.root_key_file.exists()


def test_a_full_disk_and_few_descriptors(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are where it is asked, from the systems' own numbers."""
    room = os.statvfs(home.path)
    less = os.statvfs_result((*room[:3], 1024, 1, *room[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: less)
    monkeypatch.setattr(doctor, "raise_limit", lambda: 64)
    found = _found(home)
    assert _of(found, "disk") == [(Fitness.WRONG, "disk_full")]
    (descriptors,) = [one for one in found if one.check == "descriptors"]
    assert descriptors.health is Fitness.WRONG and descriptors.error is not None


def test_a_defect_of_a_check_is_its_own(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not known what that check would have found; the others are."""
    monkeypatch.setattr(doctor, "_answer", lambda *_: 1 // 0)
    found = _found(home)
    assert _of(found, "clock") == [(Fitness.UNKNOWN, "defect")]
    assert _of(found, "home") == [(Fitness.WELL, "home_there")]


def test_an_upstream_is_reached_or_not_and_tells_the_time(home: Home) -> None:
    """Asked once without a credential; who does not answer is named, and whose clock differs."""
    with _site() as there, _site(ahead=timedelta(hours=1)) as ahead:
        assert _of(_found(home, upstream__url=there), "upstream") == [
            (Fitness.WELL, "upstream_there")
        ]
        apart = [one for one in _found(home, upstream__url=ahead) if one.said == "clock_apart"]
        assert [one.health for one in apart] == [Fitness.WRONG]
    (away,) = [one for one in _found(home, upstream__url=there) if one.check == "upstream"]
    assert (away.health, away.said) == (Fitness.WRONG, "upstream_away")


def test_public_names_and_their_certificates(home: Home, tmp_path: Path) -> None:
    """One that is trusted and lasts, one that soon ends, one that nobody trusts, one of another."""
    authority = trustme.CA()
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    environment = {"SSL_CERT_FILE": str(trusted)}
    lasting = authority.issue_cert("localhost")
    ending = authority.issue_cert("localhost", not_after=system_clock() + timedelta(days=3))
    foreign = trustme.CA().issue_cert("localhost")
    for certificate, expected in (
        (lasting, [(Fitness.WELL, "certificate_good"), (Fitness.WELL, "name_there")]),
        (ending, [(Fitness.DOUBT, "certificate_ends"), (Fitness.WELL, "name_there")]),
        (foreign, [(Fitness.WRONG, "name_tls")]),
    ):
        with _site(certificate) as name:
            found = _found(home, environment, gateway__url=name, gateway__listen="0.0.0.0:8787")
        assert _of(found, "public_name") == expected
        assert (Fitness.WELL, "listener_behind") in _of(found, "listeners")
    with _site() as name:
        found = _found(home, console__url=f"{name}/another", console__listen="0.0.0.0:8788")
    assert _of(found, "public_name") == [(Fitness.WRONG, "name_away")]
    assert (Fitness.DOUBT, "listener_plain") in _of(found, "listeners")


def test_a_server_that_runs_is_asked_how_it_is(tmp_path: Path) -> None:
    """By the command, as an operator does: ready while it is, and in words; else silent."""
    bailee = Bailee(tmp_path)
    try:
        assert bailee.up()
        said = bailee.json("doctor", "--service")
        (server,) = [one for one in said if one["check"] == "server"]
        assert (server["health"], server["hint"]) == ("well", "")
        assert not [one for one in said if one["health"] == "wrong"]
        assert "well" == sums(said)
        more = "INSERT INTO session_facts VALUES ('acc_x', 'pro', 'api', '', 'transcript', 0, 7)"
        assert 1 == tamper(Home(bailee.home).data_database, more)
        told = [sums(bailee.json("doctor", "--service")) for _ in range(2)]
        assert ["doubt", "well"] == told
        shown = bailee.run("doctor", "--service", "--lang", "zh")
        assert shown.returncode == 0 and "已就绪" in shown.stdout
    finally:
        bailee.stop()
        bailee.close()
    control = Home(bailee.home)
    control.control_socket.touch()
    found = _found(control, health__listen="127.0.0.1:1")
    assert _of(found, "server") == [(Fitness.WRONG, "server_silent")]


@pytest.mark.row("O6")
@pytest.mark.parametrize(
    ("where", "doubt"),
    [("file", "keyring_file"), ("env:ROOT", "keyring_env"), ("transit:http://127.0.0.1:1#k", None)],
)
def test_a_root_that_is_lost_with_the_machine_is_told(
    tmp_path: Path, where: str, doubt: str | None
) -> None:
    """Where the databases are elsewhere: what they keep opens with it alone. Not where a service
    has it, nor where all is on this machine.
    """
    home = Home(tmp_path / "none")
    there = "postgresql://bailee@127.0.0.1:1/a"
    elsewhere = {"database__url": there, "keyring__database_url": there}
    found = _of(_found(home, {"ROOT": "x" * 64}, keyring__root=where, **elsewhere), "keyring")
    assert [(Fitness.WELL, "keyring_none"), (Fitness.DOUBT, doubt)][: 2 if doubt else 1] == found
    here = _of(_found(home, {"ROOT": "x" * 64}, keyring__root=where), "keyring")
    assert [(Fitness.WELL, "keyring_none")] == here


def sums(said: list[dict[str, str]]) -> str:
    """What is said of the sums of sessions."""
    (found,) = [one["health"] for one in said if one["check"] == "sums"]
    return found


def test_everything_that_is_found_has_its_words() -> None:
    """Each text that the checks name stands in both languages, with the same places to fill."""
    source = Path(doctor.__file__).read_text("utf-8")
    named = set(re.findall(r'Fitness\.\w+, "([a-z_]+)"', source)) - {"error"}
    named |= set(re.findall(r'Fitness\.\w+, "[a-z_]+", "([a-z_]+)"', source))
    for one in ("name", "upstream", "provider"):
        named |= {f"{one}_there", f"{one}_away", f"{one}_mend"}
    named |= {f"sandbox_{why}" for why in ("missing", "broken", "forbidden")}
    named |= {f"kvm_{why}{mend}" for why in ("missing", "closed") for mend in ("", "_mend")}
    storage = Path(doctor_storage.__file__).read_text("utf-8")
    named |= set(re.findall(r'"((?:keyring|standby|slot|objects|spool|members)_[a-z_]+)"', storage))
    named |= {"keyring_file", "keyring_env"}
    checks = re.findall(r'^        "([a-z_]+)": (?:_|doctor_[a-z]+\.)', source, re.M)
    assert {"objects", "gateway"} <= {*checks}
    beside = Path(doctor_beside.__file__).read_text("utf-8")
    named |= set(re.findall(r'"(gateway_[a-z]+)"', beside))
    named |= {f"check_{one}" for one in checks}
    assert len(named) > 40
    for language in LANGUAGES:
        texts = words(language, "terminal").texts
        assert not {one for one in named if f"doctor.{one}" not in texts}
