"""Entries as syslog messages, over TCP, TLS or a Unix socket.

Rules kept here:

* Syslog has no answer. Over TCP what was sent counts as taken once the other machine's kernel has
  acknowledged all of it (Linux says how much it has not), and the connection still stands. A
  receiver that ends with messages in its kernel's buffer loses them, and nobody can tell.
* A connection is looked at before it is used: one that the receiver has closed is made anew.

Standards: RFC 5424 (messages), RFC 6587 3.4.1 (octet counting), RFC 5425 (TLS).
"""

from __future__ import annotations

import errno
import fcntl
import select
import socket
import ssl
import struct
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import orjson

from bailee.auditing.entry import StreamedEntry
from bailee.auditing.ocsf import MAPPED, Severity, event
from bailee.auditing.sinks import SECONDS, NotTaken
from bailee.errors import InputError
from bailee.loopback import is_loopback
from bailee.outbound.addresses import keeps_credentials
from bailee.outbound.network import Network

_LOG_AUDIT: Final = 13  # the facility
_LEVELS: Final = {Severity.INFORMATIONAL: 6, Severity.MEDIUM: 4, Severity.HIGH: 3}
_LONGEST_ID: Final = 32


def message(entry: StreamedEntry, log: str) -> bytes:
    """An entry as a message of RFC 5424. The host is not named: the log is, in the event."""
    level = _LOG_AUDIT * 8 + _LEVELS[MAPPED[entry.kind].severity]
    at = entry.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    head = f"<{level}>1 {at} - bailee - {entry.kind[:_LONGEST_ID]} - "
    return head.encode() + orjson.dumps(event(entry, log))


@dataclass(frozen=True, slots=True)
class SyslogAddress:
    """Where: `tcp`, `tls` or `unix`; a host and a port, or a path."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def shown(self) -> str:
        """In words."""
        return f"unix:{self.path}" if self.path else f"{self.scheme}://{self.host}:{self.port}"


def address(text: str, name: str) -> SyslogAddress:
    """An address that a setting names: `tls://host:port`, `tcp://127.0.0.1:port`, `unix:/path`.

    Raises:
        InputError: code `configuration`.
    """
    if text.startswith("unix:/"):
        return SyslogAddress("unix", "", 0, text.removeprefix("unix:"))
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port, parts = "", 0, urlsplit("")
    plain = parts.scheme == "tcp"
    if parts.scheme not in ("tcp", "tls") or not host or not port or parts.path or parts.username:
        raise _wrong(f"{name} is not an address of syslog.")
    if keeps_credentials(host) or (plain and not is_loopback(host)):
        raise _wrong(f"{name}: nothing is sent readably to another machine.")
    return SyslogAddress(parts.scheme, host, port, "")


def _wrong(text: str) -> InputError:
    return InputError(
        text,
        code="configuration",
        hint="write it like tls://siem.example.org:6514, tcp://127.0.0.1:601 or unix:/dev/log",
    )


class SyslogSink:
    """Sends entries to one receiver. Its stream's thread calls it; it owns one connection."""

    def __init__(
        self,
        to: SyslogAddress,
        log: str,
        *,
        tls: Callable[[], ssl.SSLContext] = lambda: Network.of().tls(),
        seconds: float = SECONDS,
    ) -> None:
        self._to, self._log, self._tls, self._seconds = to, log, tls, seconds
        self._open: socket.socket | None = None
        self.shown = to.shown

    def deliver(self, entries: Sequence[StreamedEntry]) -> None:
        """See `Sink`."""
        try:
            sock = self._connected()
            if sock.type is socket.SOCK_DGRAM:
                for entry in entries:
                    sock.send(message(entry, self._log))
                return
            messages = [message(entry, self._log) for entry in entries]
            sock.sendall(b"".join(b"%d %b" % (len(one), one) for one in messages))
            self._acknowledged(sock)
        except (OSError, InputError, ValueError) as error:  # ssl.SSLError is an OSError
            self.close()
            raise NotTaken(f"it can't be reached ({type(error).__name__})") from None

    def close(self) -> None:
        """See `Sink`."""
        sock, self._open = self._open, None
        if sock is not None:
            with suppress(OSError):
                sock.close()

    def _connected(self) -> socket.socket:
        if self._open is not None and _stands(self._open):
            return self._open
        self.close()
        to = self._to
        if to.path:
            self._open = _local(to.path, self._seconds)
            return self._open
        sock = socket.create_connection((to.host, to.port), self._seconds)
        try:
            if to.scheme == "tls":
                context = self._tls()
                context.set_alpn_protocols([])
                sock = context.wrap_socket(sock, server_hostname=to.host)
        except BaseException:
            sock.close()
            raise
        self._open = sock
        return sock

    def _acknowledged(self, sock: socket.socket) -> None:
        """Wait until the other side has it all.

        Raises:
            OSError: not in time, or it has closed.
        """
        end = time.monotonic() + self._seconds
        pause = 0.001
        while _unsent(sock):
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(pause)
            pause = min(0.1, pause * 2)
        if not _stands(sock):
            raise ConnectionError


def _local(path: str, seconds: float) -> socket.socket:
    """A datagram socket as syslog daemons have it, else a stream."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        sock = socket.socket(socket.AF_UNIX, kind)
        sock.settimeout(seconds)
        try:
            sock.connect(path)
        except OSError as error:
            sock.close()
            if kind is socket.SOCK_STREAM or error.errno != errno.EPROTOTYPE:
                raise
            continue
        return sock
    raise ConnectionError


def _stands(sock: socket.socket) -> bool:
    """Whether the other side has not closed. A receiver of syslog says nothing: what can be read is
    its end.
    """
    looking = select.poll()  # which has no bound on a descriptor's number
    looking.register(sock, select.POLLIN)
    if not looking.poll(0):
        return True
    if isinstance(sock, ssl.SSLSocket):
        sock.settimeout(0.0)
        try:
            return bool(sock.recv(1))  # of TLS itself, as a ticket for later
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        finally:
            sock.settimeout(SECONDS)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _unsent(sock: socket.socket) -> int:
    """Bytes that the other side has not acknowledged."""
    found = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    return int(struct.unpack("i", found)[0])
