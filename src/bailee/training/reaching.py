"""Where a training export's workers ask for leases: a Unix socket, or TLS between machines.

Workers on the home's machine come by a Unix socket that its owner alone may open. Those on others
come by TLS 1.3, and each side shows a certificate: those of the cluster, which Ray itself is given
(`RAY_TLS_SERVER_CERT`, `RAY_TLS_SERVER_KEY`, `RAY_TLS_CA_CERT`). So a shard's token, which a
cluster sees, is of no use to whoever has no certificate of it.

Rules kept here:

* An address says which it is: the path of a socket, or `tls://HOST:PORT`.
* A worker compares the certificate with the host that its task names.
* The time for a handshake is short, and it is not made on the thread that accepts.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bailee.errors import InputError, StorageError

TLS: Final = "tls://"
CERTIFICATE: Final = "RAY_TLS_SERVER_CERT"
CERTIFICATE_KEY: Final = "RAY_TLS_SERVER_KEY"
AUTHORITY: Final = "RAY_TLS_CA_CERT"
NAMED: Final = (CERTIFICATE, CERTIFICATE_KEY, AUTHORITY)
"""What of the environment names the certificates: paths, and no secret."""

_MOST_CONNECTIONS: Final = 256
_HANDSHAKE: Final = 20.0  # seconds
_PATIENCE: Final = 600.0  # seconds that a worker waits for the home's answer, or to reach it
_PLACE: Final = re.compile(r"(\[[0-9a-fA-F:]{2,45}\]|[A-Za-z0-9.-]{1,253}):([0-9]{1,5})")


class LeasePlace(Protocol):
    """Where leases are asked for. An export makes one; its leases accept on a thread of theirs, and
    close it.
    """

    address: str

    def accept(self) -> socket.socket:
        """The next connection. Raises: OSError, it is closed."""
        ...

    def ready(self, connection: socket.socket) -> socket.socket:
        """A connection that was accepted, as it is to be used. Called on its own thread.

        Raises:
            OSError: whoever it is has no certificate.
        """
        ...

    def close(self) -> None:
        """Accept no more."""
        ...


class OnThisMachine:
    """A Unix socket in a folder of its own, for its owner's eyes only. See `LeasePlace`."""

    def __init__(self) -> None:
        """Listen. Raises: StorageError, there can be no socket."""
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="bailee-lease-"))
            self.address = os.fspath(self._folder / "lease.sock")
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(self.address)
            Path(self.address).chmod(0o600)
            self._listener.listen(_MOST_CONNECTIONS)
        except OSError as error:
            raise StorageError(
                f"the socket for an export's workers can't be made ({type(error).__name__}).",
                hint="check the folder for temporary files",
            ) from error

    def accept(self) -> socket.socket:
        """See `LeasePlace`."""
        return self._listener.accept()[0]

    def ready(self, connection: socket.socket) -> socket.socket:
        """See `LeasePlace`."""
        connection.settimeout(_HANDSHAKE)
        return connection

    def close(self) -> None:
        """See `LeasePlace`."""
        _closed(self._listener)
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Crossing:
    """How workers on other machines reach the home: its address as they see it, and the
    certificates of this side. An operation makes it of what it is asked (`crossing`).
    """

    host: str
    port: int
    context: ssl.SSLContext


class BetweenMachines:
    """A port of one address of this machine. See `LeasePlace`."""

    def __init__(self, crossing: Crossing) -> None:
        """Listen. Port 0: any that is free.

        Raises:
            InputError: that is no address of this machine, or another listens there.
        """
        self._context = crossing.context
        try:
            found = socket.getaddrinfo(crossing.host, crossing.port, type=socket.SOCK_STREAM)
            family, kind, protocol, _, place = found[0]
            self._listener = socket.socket(family, kind, protocol)
            try:
                self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._listener.bind(place)
                self._listener.listen(_MOST_CONNECTIONS)
            except OSError:
                self._listener.close()
                raise
        except OSError as error:
            raise InputError(
                f"leases can't be asked for there ({error.strerror or type(error).__name__}).",
                code="configuration",
                hint="--lend-at names an address of this machine that the cluster's machines reach",
            ) from error
        host = f"[{crossing.host}]" if ":" in crossing.host else crossing.host
        self.address = f"{TLS}{host}:{self._listener.getsockname()[1]}"

    def accept(self) -> socket.socket:
        """See `LeasePlace`."""
        return self._listener.accept()[0]

    def ready(self, connection: socket.socket) -> socket.socket:
        """See `LeasePlace`."""
        connection.settimeout(_HANDSHAKE)
        return self._context.wrap_socket(connection, server_side=True)

    def close(self) -> None:
        """See `LeasePlace`."""
        _closed(self._listener)


def _closed(listener: socket.socket) -> None:
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def crossing(place: str, environment: Mapping[str, str]) -> Crossing:
    """What `--lend-at HOST:PORT` means.

    Raises:
        InputError: it is no such place, or there are no certificates.
    """
    found = _PLACE.fullmatch(place)
    if found is None or int(found[2]) > 65_535:
        raise InputError("a place for leases is HOST:PORT, of this machine.")
    if environment.get("RAY_USE_TLS") != "1" or any(not environment.get(one) for one in NAMED):
        raise InputError(
            "between machines, leases need the cluster's certificates.",
            code="configuration",
            hint=f"set RAY_USE_TLS=1, {', '.join(NAMED)}, as on the cluster's machines. "
            "Nothing was exported",
        )
    return Crossing(found[1].strip("[]"), int(found[2]), _context(environment, serving=True))


def connected(address: str, environment: Mapping[str, str]) -> socket.socket:
    """A connection of a worker with the home.

    Raises:
        OSError: the home can't be reached, or is another.
        InputError: there are no certificates.
    """
    if not address.startswith(TLS):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(address)
        except OSError:
            connection.close()
            raise
        return connection
    found = _PLACE.fullmatch(address.removeprefix(TLS))
    if found is None:
        raise InputError("a place for leases is HOST:PORT.")
    host = found[1].strip("[]")
    plain = socket.create_connection((host, int(found[2])), _HANDSHAKE)
    try:
        crossed = _context(environment, serving=False).wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
    crossed.settimeout(_PATIENCE)
    return crossed


def _context(environment: Mapping[str, str], *, serving: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if serving else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(environment.get(AUTHORITY, ""))
        context.load_cert_chain(environment.get(CERTIFICATE, ""), environment.get(CERTIFICATE_KEY))
    except (OSError, ValueError) as error:
        raise InputError(
            f"the cluster's certificates can't be used ({type(error).__name__}).",
            code="configuration",
            hint=f"{', '.join(NAMED)} name PEM files that this user may read",
        ) from None
    return context
