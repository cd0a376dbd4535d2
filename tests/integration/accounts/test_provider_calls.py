"""Calls to a provider: bounded in time, size and number."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailee.accounts.provider_calls import Visits
from bailee.errors import UpstreamError
from support.servers.slow_provider import SlowProvider


@pytest.fixture
def large() -> Iterator[str]:
    """A server that answers with so many bytes as its path says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", self.path[1:])
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(b"x" * int(self.path[1:]))

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_provider_that_drips_is_left_when_the_visits_time_is_over() -> None:
    """A byte every tenth of a second would hold a thread for good: no single wait is long."""
    visits = Visits(seconds=0.5)

    with (
        SlowProvider(every=0.1) as slow,
        pytest.raises(UpstreamError) as told,
        visits.to("orchard") as visit,
    ):
        visit.ask("GET", slow.issuer)

    assert "upstream_timeout" == told.value.code


def test_calls_after_the_time_are_over_at_once() -> None:
    """The deadline is the whole visit's, not each call's."""
    visits = Visits(seconds=0.3)

    with (
        SlowProvider(every=0.1) as slow,
        pytest.raises(UpstreamError),
        visits.to("orchard") as visit,
    ):
        for _ in range(3):
            with pytest.raises(UpstreamError):
                visit.ask("GET", slow.issuer)
        raise UpstreamError("so it ends")
    assert slow.asked <= 3


def test_one_provider_has_so_many_visits_at_once_and_another_its_own() -> None:
    """Who comes next is told at once; when one has ended there is room."""
    visits, release, inside = Visits(at_once=2), threading.Event(), threading.Barrier(3)

    def stay() -> None:
        with visits.to("orchard"):
            inside.wait()
            release.wait()

    threads = [threading.Thread(target=stay) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait()
    with pytest.raises(UpstreamError) as told, visits.to("orchard"):
        pass
    with visits.to("meadow"):
        pass
    release.set()
    for thread in threads:
        thread.join()

    assert "upstream_timeout" == told.value.code
    with visits.to("orchard"):
        pass


def test_an_answer_has_a_largest_size(large: str) -> None:
    """A megabyte; what is more is not read."""
    with Visits().to("orchard") as visit:
        fits = visit.ask("GET", large + "1000000")
        with pytest.raises(UpstreamError):
            visit.ask("GET", large + "500000000")

    assert 1_000_000 == len(fits.content)


def test_no_descriptor_is_left(large: str) -> None:
    """Of a visit that asked, nothing is open afterwards."""

    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with Visits().to("orchard") as visit:
        visit.ask("GET", large + "10")
    before = count()
    for _ in range(5):
        with Visits().to("orchard") as visit:
            visit.ask("GET", large + "10")
    until = time.monotonic() + 10
    while count() > before and time.monotonic() < until:
        time.sleep(0.05)  # the server's own side is in this process, too

    assert count() <= before
