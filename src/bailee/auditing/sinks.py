"""How entries are handed to each kind of address: a file, HTTP, OTLP, a webhook. See `syslog` too.

Rules kept here:

* `deliver` returns when all that it was given is taken, and raises `NotTaken` otherwise. Then the
  same is given again: what arrives twice has the same `metadata.uid`, and nothing is left out.
* No redirect is followed, nothing goes over plain HTTP to another machine, and nothing to where a
  cloud's machines keep their credentials. A token is read from its file each time, and stands in no
  error.
* Errors name a kind of failure and a status, never what was sent or answered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import orjson

from bailee.auditing import cloud_events, otlp_logs
from bailee.auditing.entry import StreamedEntry
from bailee.auditing.ocsf import event
from bailee.errors import InputError
from bailee.outbound.addresses import keeps_credentials
from bailee.outbound.network import HttpResponse, Network, NoAnswer, checked

SECONDS: Final = 10.0
_LARGEST: Final = 1 << 20  # of an answer
_TAIL: Final = 1 << 20  # of a file, in which its last whole line is looked for


class NotTaken(Exception):
    """A sink did not take what it was given. The text is of ours, without content."""


class Sink(Protocol):
    """One address. Its stream's thread calls it, and nobody else; `close` once, after that."""

    shown: str
    """Where it is, without what could be a credential."""

    def deliver(self, entries: Sequence[StreamedEntry]) -> None:
        """Hand over entries, in order.

        Raises:
            NotTaken: not all were taken.
        """
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


Post = Callable[[str, bytes, Mapping[str, str]], HttpResponse]
"""Sends a body to an address with header fields; raises `NotTaken` where there is no answer."""


def post(url: str, body: bytes, fields: Mapping[str, str]) -> HttpResponse:
    """See `Post`."""
    try:
        return Network.of().ask(
            "POST", url, content=body, headers=fields, seconds=SECONDS, largest=_LARGEST
        )
    except NoAnswer as error:
        raise NotTaken(f"no answer ({error})") from None
    except InputError as error:
        raise NotTaken(error.message) from None


def check_url(url: str, name: str) -> str:
    """An address that a setting names.

    Raises:
        InputError: code `configuration`; it is none, would be read on the way, has a credential in
            it, or is where machines keep theirs.
    """
    checked(url, name)
    parts = urlsplit(url)
    if parts.username or parts.password or parts.fragment:
        raise InputError(
            f"{name} has more in its address than a place.",
            code="configuration",
            hint="name a file that holds the token",
        )
    if keeps_credentials(parts.hostname or ""):
        raise InputError(
            f"{name} names an address where machines keep their credentials.",
            code="configuration",
            hint="name the receiver's own",
        )
    return url


def shown(url: str) -> str:
    """An address without what could be a credential in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{'' if parts.port is None else f':{parts.port}'}"


def taken(answer: HttpResponse) -> None:
    """Go on if an answer says that all was taken. Raises: NotTaken."""
    if 300 <= answer.status < 400:
        raise NotTaken(f"it redirects ({answer.status}), which is not followed")
    if not answer.good:
        raise NotTaken(f"it answered {answer.status}")


def bearer(token: Path | None) -> dict[str, str]:
    """The field with a file's token, none without a file. Raises: NotTaken: it holds none."""
    if token is None:
        return {}
    try:
        text = token.read_text("ascii").strip()
    except (OSError, ValueError):
        raise NotTaken("the file with its token can't be read") from None
    if not text or not text.isprintable():
        raise NotTaken("the file with its token holds none")
    return {"authorization": f"Bearer {text}"}


@dataclass
class HttpSink:
    """POSTs entries as lines of JSON, many at once (`application/x-ndjson`)."""

    url: str
    log: str
    token: Path | None = None
    post: Post = post

    def __post_init__(self) -> None:
        self.shown = shown(self.url)

    def deliver(self, entries: Sequence[StreamedEntry]) -> None:
        """See `Sink`. One that is too much for it is divided."""
        body = b"".join(orjson.dumps(event(one, self.log)) + b"\n" for one in entries)
        fields = {"content-type": "application/x-ndjson", **bearer(self.token)}
        answer = self.post(self.url, body, fields)
        if answer.status == 413 and len(entries) > 1:
            half = len(entries) // 2
            self.deliver(entries[:half])
            self.deliver(entries[half:])
            return
        taken(answer)

    def close(self) -> None:
        """See `Sink`."""


@dataclass
class OtlpSink:
    """Sends entries as log records over OTLP/HTTP; `url` is the base, without `/v1/logs`."""

    url: str
    log: str
    token: Path | None = None
    post: Post = post

    def __post_init__(self) -> None:
        self.shown = shown(self.url)

    def deliver(self, entries: Sequence[StreamedEntry]) -> None:
        """See `Sink`. What it takes in part it is given again whole, although the protocol would
        have the rest be dropped: an audit record lacks nothing.
        """
        fields = {"content-type": "application/x-protobuf", **bearer(self.token)}
        address = f"{self.url.rstrip('/')}/v1/logs"
        answer = self.post(address, otlp_logs.request(entries, self.log), fields)
        taken(answer)
        if refused := otlp_logs.rejected(answer.content):
            raise NotTaken(f"it refused {refused} of {len(entries)} records")

    def close(self) -> None:
        """See `Sink`."""


@dataclass
class WebhookSink:
    """POSTs entries of chosen kinds one by one, as CloudEvents, signed as Standard Webhooks says.
    `secret`: reads the signer; `now`: the time that a signature says.
    """

    url: str
    log: str
    kinds: frozenset[str]
    secret: Callable[[], cloud_events.WebhookSigner]
    now: Callable[[], datetime]
    post: Post = post

    def __post_init__(self) -> None:
        self.shown = shown(self.url)
        self._done = -1  # the last leaf that was taken

    def deliver(self, entries: Sequence[StreamedEntry]) -> None:
        """See `Sink`. Of a portion that failed, what was taken is not sent again by this sink."""
        for entry in entries:
            if entry.kind not in self.kinds or entry.leaf <= self._done:
                continue
            body, uid = cloud_events.body(entry, self.log), f"{self.log}/{entry.leaf}"
            fields = cloud_events.signed(self.secret(), uid, self.now(), body)
            taken(self.post(self.url, body, fields))
            self._done = entry.leaf

    def close(self) -> None:
        """See `Sink`."""


class FileSink:
    """Appends entries to a file, as lines of JSON. At a size it is renamed to `NAME.1`, and so on;
    beyond `keep` of these the oldest goes. What a crash or a full disk left of a line is taken
    away before the next, so that each line is whole.
    """

    def __init__(self, path: Path, log: str, *, largest: int, keep: int) -> None:
        """`largest`: bytes at which it is renamed."""
        self._path, self._log, self._largest, self._keep = path, log, largest, keep
        self.shown = str(path)

    def deliver(self, entries: Sequence[StreamedEntry]) -> None:
        """See `Sink`. They are on the disk when this returns."""
        data = b"".join(orjson.dumps(event(one, self._log)) + b"\n" for one in entries)
        try:
            with self._opened() as file:
                end = self._whole(file)
                if end and end + len(data) > self._largest:
                    self._rotate()
                    with self._opened() as new:
                        self._append(new, 0, data)
                else:
                    self._append(file, end, data)
        except OSError as error:
            raise NotTaken(f"it can't be written ({error.strerror})") from None

    def close(self) -> None:
        """See `Sink`."""

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Anew each time: who moves the file away gets a new one made."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(self._path, flags, 0o600)
        try:
            yield file
        finally:
            os.close(file)

    @staticmethod
    def _whole(file: int) -> int:
        """Where the last whole line ends; what is behind it goes."""
        size = os.fstat(file).st_size
        tail = os.pread(file, _TAIL, max(0, size - _TAIL))
        end = size - len(tail) + tail.rfind(b"\n") + 1
        if end < size:
            os.ftruncate(file, end)
        return end

    @staticmethod
    def _append(file: int, end: int, data: bytes) -> None:
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(file, data[done:], end + done)
            os.fsync(file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, end)
            raise

    def _rotate(self) -> None:
        def named(number: int) -> Path:
            return self._path.with_name(f"{self._path.name}.{number}")

        for number in range(self._keep - 1, 0, -1):
            with suppress(FileNotFoundError):
                named(number).replace(named(number + 1))
        self._path.replace(named(1)) if self._keep else self._path.unlink()
