"""A log is checked over HTTP as it is from a folder; whoever serves it can't hold or mislead us."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bailee.errors import InputError, StorageError
from bailee.ledger.fetching import RemoteLog
from bailee.ledger.folder import CHECKPOINT
from bailee.ledger.verifying import Check, CheckedLog
from support.homes.logged import Logged

pytestmark = pytest.mark.row("P4")
SIZE = 600


class LogServer:
    """Serves a log's files, or what stands in `instead`: a status and a body."""

    def __init__(self, folder: Path) -> None:
        self.log = Logged(folder)
        for count in (100, 156, SIZE - 256):
            self.log.append(count)
            self.log.sequencer.run()
        self.files = self.log.files()
        self.instead: dict[str, tuple[int, bytes]] = {}
        self.asked: Counter[str] = Counter()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                name = self.path.removeprefix("/ledger/")
                server.asked[name] += 1
                found = server.files.get(name)
                status, body = server.instead.get(name, (200 if found is not None else 404, found))
                self.send_response(status)
                if status == 302:
                    self.send_header("location", "/ledger/checkpoint")
                self.send_header("content-length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/ledger"

    def check(self, remembered: bytes | None = None) -> CheckedLog:
        """What a check over HTTP finds."""
        remote = RemoteLog(self.url)
        try:
            return Check(remote, self.log.trust, remembered).run()
        finally:
            remote.close()

    def close(self) -> None:
        """Serve no more."""
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogServer]:
    """One log, served."""
    made = LogServer(tmp_path_factory.mktemp("served"))
    yield made
    made.close()


@pytest.fixture
def server(serving: LogServer) -> Iterator[LogServer]:
    """It, as it is."""
    serving.instead, serving.asked = {}, Counter()
    yield serving
    serving.instead = {}


def test_what_is_served_is_checked_like_a_folder(server: LogServer) -> None:
    """All leaves, each file fetched once; a tile whose partial form is gone is cut from the full
    one.
    """
    found = server.check()
    assert (SIZE, SIZE, [], None) == (found.size, found.leaves, found.damaged, found.witnessed)
    assert {1} == set(server.asked.values())
    assert found.files == len(server.asked) - 1  # there is no checkpoint.witnessed


def test_each_changed_file_is_named_as_in_a_folder(server: LogServer) -> None:
    """A flipped byte, a byte less, or no file: the same names as a check of the same folder gives,
    for every file that the log of this size has.
    """
    server.check()
    needed = [name for name in server.asked if name in server.files]
    for name in needed:
        content = server.files[name]
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        for status, body in ((200, flipped), (200, content[:-1]), (404, b"")):
            server.instead = {name: (status, body)}
            found = server.check(content if name == CHECKPOINT else None)
            assert [name] == [one.where for one in found.damaged], (name, status)


def test_a_fork_and_a_rollback_are_told_by_what_is_remembered(
    server: LogServer, tmp_path: Path
) -> None:
    """Beside a checkpoint of another history, or of a longer one."""
    other = Logged(tmp_path)
    for size, words in ((SIZE, "forked"), (1, "rolled back")):
        other.append(size)
        other.sequencer.run()
        (damaged,) = server.check(other.folder.read(CHECKPOINT)).damaged
        assert words in damaged.what


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("tile/0/000", 200, b"x" * 10_000),
        (CHECKPOINT, 200, b"x" * 300_000),
        (CHECKPOINT, 302, b""),
        ("tile/1/000.p/2", 500, b""),
    ],
    ids=["a long tile", "a long checkpoint", "a redirect", "an error"],
)
def test_what_is_no_answer_ends_the_check(
    server: LogServer, name: str, status: int, body: bytes
) -> None:
    """Whatever is too large or is no file says nothing about the log: the file is named."""
    server.instead = {name: (status, body)}
    with pytest.raises(StorageError) as refused:
        server.check()
    assert name in refused.value.message


def test_an_address_that_is_none_or_plain_is_refused() -> None:
    """A log is fetched by https://, but from this machine; nobody there is said so."""
    for url in ("http://log.example/ledger", "https://"):
        with pytest.raises(InputError):
            RemoteLog(url)
    gone = RemoteLog("http://127.0.0.1:9/ledger")
    with pytest.raises(StorageError) as refused:
        gone.read(CHECKPOINT)
    gone.close()
    assert "ConnectError" in refused.value.message
