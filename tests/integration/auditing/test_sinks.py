"""How entries are handed to each kind of address, and what a bad one can do."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Self

import pytest
import trustme
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from bailee.auditing import cloud_events, sinks, syslog
from bailee.auditing.entry import StreamedEntry
from bailee.auditing.ocsf import event
from bailee.auditing.sinks import FileSink, HttpSink, NotTaken, OtlpSink, WebhookSink, check_url
from bailee.auditing.syslog import SyslogSink
from bailee.errors import InputError
from bailee.testing.threaded import ThreadedServer
from support.homes.small_disks import fill, small_disk

pytestmark = pytest.mark.row("O5")

AT = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)
LOG = "bailee/log"


def entry(leaf: int, kind: str = "account.created") -> StreamedEntry:
    """An entry."""
    return StreamedEntry(leaf, leaf + 1, AT, kind, f"acc_{leaf}", {"plan": "pro"})


def entries(first: int, following: int) -> list[StreamedEntry]:
    """Entries of these leaves."""
    return [entry(leaf) for leaf in range(first, following)]


class Receiver(ThreadedServer):
    """An HTTP server that answers what it is told, and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.slow = threading.Event()
        self.slow.set()

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                fields = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append((self.path, fields, body))
                receiver.slow.wait(30)
                status, said = receiver.answers.pop(0) if receiver.answers else (200, b"")
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("location", f"{receiver.url}/elsewhere")
                self.send_header("content-length", str(len(said)))
                with contextlib.suppress(OSError):  # whoever asked waits no more
                    self.end_headers()
                    self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        self.begin(Handler)
        return self


@pytest.fixture(scope="module")
def shared_receiver() -> Iterator[Receiver]:
    """One for all."""
    with Receiver() as made:
        yield made


@pytest.fixture
def receiver(shared_receiver: Receiver) -> Receiver:
    """It, with nothing in it."""
    shared_receiver.answers.clear()
    shared_receiver.got.clear()
    return shared_receiver


# -- HTTP ------------------------------------------------------------------------------------------


def test_http_gets_lines_and_the_token_of_the_moment(receiver: Receiver, tmp_path: Path) -> None:
    """Many at once; a token that was renewed is sent from then on."""
    token = tmp_path / "token"
    token.write_text("one\n")
    sink = HttpSink(f"{receiver.url}/in", LOG, token)
    sink.deliver(entries(0, 3))
    token.write_text("two\n")
    sink.deliver(entries(3, 4))
    (path, fields, body), (_, later, _) = receiver.got
    assert ("/in", "application/x-ndjson") == (path, fields["content-type"])
    assert ("Bearer one", "Bearer two") == (fields["authorization"], later["authorization"])
    assert [0, 1, 2] == [json.loads(one)["metadata"]["sequence"] for one in body.splitlines()]


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 429, 500, 503])
def test_any_other_answer_is_no_taking(receiver: Receiver, tmp_path: Path, status: int) -> None:
    """A redirect is not followed, and neither token nor answer stands in what is said."""
    token = tmp_path / "token"
    token.write_text("t0ken")
    receiver.answers.append((status, b"your t0ken is wrong"))
    with pytest.raises(NotTaken) as refused:
        HttpSink(receiver.url, LOG, token).deliver(entries(0, 1))
    assert 1 == len(receiver.got)
    assert str(status) in str(refused.value)
    assert "t0ken" not in str(refused.value)


def test_what_is_too_much_is_divided(receiver: Receiver) -> None:
    """Until one alone is too much: then it is not taken."""
    receiver.answers += [(413, b""), (200, b""), (413, b""), (200, b""), (413, b"")]
    with pytest.raises(NotTaken):
        HttpSink(receiver.url, LOG).deliver(entries(0, 4))
    assert [4, 2, 2, 1, 1] == [len(body.splitlines()) for _, _, body in receiver.got]


def test_a_slow_answer_has_a_bound(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is silent is as good as away."""
    monkeypatch.setattr(sinks, "SECONDS", 0.2)
    receiver.slow.clear()
    try:
        with pytest.raises(NotTaken, match="no answer"):
            HttpSink(receiver.url, LOG).deliver(entries(0, 1))
    finally:
        receiver.slow.set()


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest", "https://[fe80::1]/", "https://metadata.google.internal/",
        "https://[::ffff:169.254.169.254]/", "http://siem.example.org/", "http://10.0.0.7/in",
        "https://user:secret@siem.example.org/", "file:///etc/passwd", "siem",
    ],
)  # fmt: skip
def test_some_addresses_are_refused(url: str) -> None:
    """Where machines keep credentials, what is read on the way, and what holds a credential."""
    with pytest.raises(InputError) as refused:
        check_url(url, "audit.http")
    assert "secret" not in f"{refused.value.message}{refused.value.hint}"
    assert check_url("https://10.0.0.7/in", "audit.http")  # a company's own is inside


# -- OTLP ------------------------------------------------------------------------------------------


def test_otlp_gets_log_records(receiver: Receiver) -> None:
    """One each, with its event as the body; what is refused in part is given again."""
    sink = OtlpSink(f"{receiver.url}/", LOG)
    sink.deliver([entry(0), entry(1, "watch.late")])
    path, _, body = receiver.got[0]
    records = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records
    assert "/v1/logs" == path
    assert [("bailee.account.created", 9), ("bailee.watch.late", 17)] == [
        (one.event_name, one.severity_number) for one in records
    ]
    assert 0 == json.loads(records[0].body.string_value)["metadata"]["sequence"]
    in_part = ExportLogsServiceResponse()
    in_part.partial_success.rejected_log_records = 1
    receiver.answers.append((200, in_part.SerializeToString()))
    with pytest.raises(NotTaken, match="1 of 2"):
        sink.deliver(entries(0, 2))


# -- webhooks --------------------------------------------------------------------------------------


def test_a_webhook_gets_chosen_kinds_signed(receiver: Receiver) -> None:
    """The library that receivers use verifies it; a changed byte does not pass. One that failed is
    sent again with the same id, and those before it are not.
    """
    signer = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLAsR")
    kinds = cloud_events.kinds(["key.*", "account.created"])
    sink = WebhookSink(receiver.url, LOG, kinds, lambda: signer, lambda: datetime.now(UTC))
    given = [entry(0), entry(1, "person.created"), entry(2, "key.created"), entry(3)]
    receiver.answers += [(200, b""), (500, b"")]
    with pytest.raises(NotTaken):
        sink.deliver(given)
    sink.deliver(given)
    ids = [fields["webhook-id"] for _, fields, _ in receiver.got]
    assert [f"{LOG}/0", f"{LOG}/2", f"{LOG}/2", f"{LOG}/3"] == ids
    _, fields, body = receiver.got[2]
    told = signer.verify(body, fields)
    assert ("1.0", "bailee.key.created", "//bailee/log") == (
        told["specversion"], told["type"], told["source"],
    )  # fmt: skip
    with pytest.raises(WebhookVerificationError):
        signer.verify(body.replace(b"key", b"kex"), fields)


@pytest.mark.parametrize("name", ["", "*", "key.*x", "keys.created", "key*", "nothing.*"])
def test_a_kind_that_is_none_is_refused(name: str) -> None:
    """At the start, not by silence."""
    with pytest.raises(InputError):
        cloud_events.kinds([name])


# -- files -----------------------------------------------------------------------------------------


def read(path: Path) -> list[int]:
    """The leaves in a file, each line whole."""
    lines = path.read_text().splitlines(keepends=True)
    assert all(one.endswith("\n") for one in lines)
    return [json.loads(one)["metadata"]["sequence"] for one in lines]


def test_a_file_has_whole_lines_and_is_renamed_at_a_size(tmp_path: Path) -> None:
    """What a crash left of a line goes before the next; whoever moves the file gets a new one; a
    link is not followed.
    """
    path = tmp_path / "audit.jsonl"
    four = 4 * len(json.dumps(event(entry(9), LOG)))
    sink = FileSink(path, LOG, largest=four, keep=2)
    sink.deliver(entries(0, 2))
    with path.open("a") as file:
        file.write('{"torn')
    sink.deliver(entries(2, 4))
    assert [0, 1, 2, 3] == read(path)
    assert 0o600 == path.stat().st_mode & 0o777
    for leaf in range(4, 16, 3):
        sink.deliver(entries(leaf, leaf + 3))
    kept = [path.with_name(f"audit.jsonl.{number}") for number in (2, 1)]
    assert not path.with_name("audit.jsonl.3").exists()
    assert [*range(7, 16)] == [leaf for one in (*kept, path) for leaf in read(one)]
    path.rename(tmp_path / "moved")
    sink.deliver(entries(16, 17))
    assert [16] == read(path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotTaken):
        sink.deliver(entries(17, 18))
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_leaves_no_half_of_a_line(tmp_path: Path) -> None:
    """Nothing is taken of what does not fit whole, and it goes on when there is room."""
    with small_disk(tmp_path / "small", 1) as folder:
        sink = FileSink(folder / "audit.jsonl", LOG, largest=1 << 30, keep=1)
        sink.deliver(entries(0, 3))
        filler = fill(folder)
        with pytest.raises(NotTaken, match="No space"):
            sink.deliver(entries(3, 50))
        assert [0, 1, 2] == read(folder / "audit.jsonl")
        filler.unlink()
        sink.deliver(entries(3, 50))
        assert [*range(50)] == read(folder / "audit.jsonl")


# -- syslog ----------------------------------------------------------------------------------------


def message_of(read_bytes: Callable[[int], bytes]) -> bytes:
    """The next message, by its octet count."""
    length = b""
    while not length.endswith(b" "):
        piece = read_bytes(1)
        if not piece:
            return b""
        length += piece
    return read_bytes(int(length))


@contextmanager
def syslog_server(context: ssl.SSLContext | None) -> Iterator[tuple[int, queue.Queue[bytes]]]:
    """A receiver of octet-counted syslog; its port, and what it gets. It ends with its peer, and
    says so by an empty one.
    """
    got: queue.Queue[bytes] = queue.Queue()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            made = context.wrap_socket(sock, server_side=True) if context else sock
            with made as connection, connection.makefile("rb") as file:
                for _ in range(2):
                    got.put(message_of(file.read))
                file.read(1)  # until the test has let go, or the sink
            got.put(b"")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1], got
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)


@pytest.mark.parametrize("tls", [False, True])
def test_syslog_over_tcp_and_tls(tls: bool) -> None:
    """Messages of RFC 5424, counted; after a break it is met again, and lacks nothing."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    with syslog_server(server if tls else None) as (port, got):
        to = f"tls://localhost:{port}" if tls else f"tcp://127.0.0.1:{port}"
        sink = SyslogSink(syslog.address(to, "audit.syslog"), LOG, tls=lambda: client, seconds=5)
        seen = []
        for first in (0, 2, 4):
            sink.deliver(entries(first, first + 2))
            seen += [got.get(timeout=10), got.get(timeout=10)]
            lost = sink._open
            assert lost is not None
            lost.shutdown(socket.SHUT_RDWR)  # as a network that breaks
            assert b"" == got.get(timeout=10)
        sink.close()
    head, _, body = seen[0].partition(b"{")
    assert head == b"<110>1 2026-11-30T12:00:00.250000Z - bailee - account.created - "
    assert 0 == json.loads(b"{" + body)["metadata"]["sequence"]
    leaves = [json.loads(one[one.index(b"{") :])["metadata"]["sequence"] for one in seen]
    assert [*range(6)] == leaves


def test_syslog_over_a_unix_socket(tmp_path: Path) -> None:
    """Datagrams, as a daemon on the same machine takes them; one that is away is told."""
    folder = Path("/tmp") / f"bailee-syslog-{os.getpid()}"
    folder.mkdir()
    try:
        sink = SyslogSink(syslog.address(f"unix:{folder}/log", "audit.syslog"), LOG)
        with pytest.raises(NotTaken, match="FileNotFoundError"):
            sink.deliver(entries(0, 1))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(f"{folder}/log")
            sink.deliver(entries(0, 2))
            assert b"acc_0" in daemon.recv(65536)
            assert b"acc_1" in daemon.recv(65536)
        sink.close()
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


@pytest.mark.parametrize(
    "text",
    [
        "tcp://siem.example.org:514", "udp://127.0.0.1:514", "tls://host", "tls://u@host:1",
        "tls://169.254.169.254:6514", "unix:relative", "tcp://127.0.0.1:x", "",
    ],
)  # fmt: skip
def test_some_addresses_of_syslog_are_refused(text: str) -> None:
    """Nothing goes readably to another machine."""
    with pytest.raises(InputError):
        syslog.address(text, "audit.syslog")
