"""NO_PROXY and a proxy's address, as curl, requests and urllib understand them, and as we do."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment

import pytest
import requests.utils

from bailee.outbound.proxies import excepted, proxy_for

pytestmark = pytest.mark.row("D2")

# NO_PROXY, and what is asked for: where all of them agree.
AGREED = [
    ("b.example", "http://b.example/", True),
    ("b.example", "http://a.b.example/", True),
    (".b.example", "http://a.b.example/", True),
    ("B.EXAMPLE", "http://b.example/", True),
    ("x,b.example", "http://b.example/", True),
    ("ample", "http://b.example/", False),
    ("b.example.com", "http://b.example/", False),
    ("192.0.2.1", "http://192.0.2.1/", True),
    ("192.0.2.1", "http://192.0.2.10/", False),
    ("*", "http://b.example/", True),
    ("", "http://b.example/", False),
]
# Where they don't: what ours says, and who says the same.
DISPUTED = [
    ("b.example:80", "http://b.example/", True, set[str]()),
    ("b.example:80", "http://b.example:8080/", False, {"curl", "requests", "urllib"}),
    ("b.example:8080", "http://b.example:8080/", True, {"requests", "urllib"}),
    ("192.0.2.0/24", "http://192.0.2.7/", True, {"curl", "requests"}),
    ("2001:db8::1", "http://[2001:db8::1]/", True, {"curl", "requests"}),
    ("[2001:db8::1]", "http://[2001:db8::1]/", True, {"urllib"}),
    ("[2001:db8::1]:80", "http://[2001:db8::1]/", True, set[str]()),
    ("b.example.", "http://b.example/", True, {"curl"}),
    ("b.example", "http://b.example./", True, {"curl"}),
]


@contextlib.contextmanager
def listening() -> Iterator[tuple[int, list[bytes]]]:
    """A proxy that keeps the head of each request, and answers 204."""
    came: list[bytes] = []

    def listen() -> None:
        while True:
            connection, _ = server.accept()
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (piece := connection.recv(4096)):
                    head += piece
                if not head:
                    return
                came.append(head)
                connection.sendall(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield server.getsockname()[1], came
        finally:
            socket.create_connection(server.getsockname()).close()
            thread.join()


def curl(url: str, proxy: str, no_proxy: str = "") -> int:
    """Ask with the real curl, which looks up nobody; its exit status."""
    if (program := shutil.which("curl")) is None:
        pytest.skip("no curl here")
    nowhere = urlsplit(url)
    host = nowhere.hostname or ""
    to = f"{f'[{host}]' if ':' in host else host}:{nowhere.port or 80}:127.0.0.1:1"
    done = subprocess.run(
        [program, "--silent", "--max-time", "20", "--connect-to", to, url],
        env={"PATH": os.environ["PATH"], "http_proxy": proxy, "no_proxy": no_proxy},
        check=False,
    )
    return done.returncode


def others(no_proxy: str, url: str) -> set[str]:
    """Which of curl, requests and urllib go straight."""
    parts = urlsplit(url)
    bare = parts.netloc
    found = set()
    if proxy_bypass_environment(bare, {"no": no_proxy}):
        found.add("urllib")
    if requests.utils.should_bypass_proxies(url, no_proxy):
        found.add("requests")
    with listening() as (port, came):
        curl(url, f"http://127.0.0.1:{port}", no_proxy)
        if not came:
            found.add("curl")
    return found


def ours(no_proxy: str, url: str) -> bool:
    """Whether we go straight."""
    parts = urlsplit(url)
    return excepted(no_proxy, parts.hostname or "", parts.port or 80)


@pytest.mark.parametrize(("no_proxy", "url", "straight"), AGREED)
def test_where_all_agree_we_do(no_proxy: str, url: str, straight: bool) -> None:
    """Names, what is below them, addresses, everything, nothing."""
    everybody = {"curl", "requests", "urllib"} if straight else set()

    assert (straight, everybody) == (ours(no_proxy, url), others(no_proxy, url))


@pytest.mark.parametrize(("no_proxy", "url", "straight", "same"), DISPUTED)
def test_where_they_differ(no_proxy: str, url: str, straight: bool, same: set[str]) -> None:
    """Ports, networks, IPv6 and dots: ours takes what is meant, whoever else does."""
    found = others(no_proxy, url)
    agree = found if straight else {"curl", "requests", "urllib"} - found

    assert (straight, same) == (ours(no_proxy, url), agree)


@pytest.mark.parametrize(
    "login", ["ann:pears", "ann:pe%23ars%40x", "ann:50%25", "corp%5Cann:pears", "ann:a%3Ab"]
)
def test_a_proxys_login_is_shown_as_curl_shows_it(login: str) -> None:
    """The same field, byte for byte, of the same address."""
    with listening() as (port, came):
        curl("http://b.example/", f"http://{login}@127.0.0.1:{port}")
        proxy = proxy_for("http://b.example/", {"HTTP_PROXY": f"http://{login}@127.0.0.1:{port}"})
    (head,) = came
    assert proxy is not None
    ((_, shown),) = proxy.fields

    lines = head.decode().splitlines()
    (theirs,) = [line.partition(": ")[2] for line in lines if line.startswith("Proxy-Auth")]
    assert theirs == shown.decode()
    assert ":" in base64.b64decode(theirs.removeprefix("Basic ")).decode()
