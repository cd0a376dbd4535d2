"""Files in a bucket of S3, or of whatever speaks its protocol.

Rules kept here:

* Credentials, region and address are found as the AWS SDKs find them; the way out is the company's
  network's, as of everything else (`bailee.outbound`). Plain HTTP is for this machine alone.
* Nothing that a store answers is shown or kept: an error says which kind it was.
* Each request has a time. One that failed is repeated, since it may have been carried out: to put
  the same again is no error. What still fails is the caller's, whose next backup goes on.
* A store checks what it was sent by its SHA-256, where it can.
* A name says which object; nothing depends on a list, which may be late.

Keys never lie in one: what a bucket deletes may live on as a version of it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar
from urllib.parse import urlsplit

from bailee.errors import InputError, StorageError
from bailee.loopback import is_loopback

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, S3Config, S3Credential, S3Store

_PART: Final = 8 << 20
_PIECE: Final = 1 << 20
_PARTS_AT_ONCE: Final = 2
_TRIES: Final = 2
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_PART_OF_PREFIX: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._=-]{0,254}")
_FOR_GOOD: Final = {
    "PermissionDeniedError": "it refuses these credentials",
    "UnauthenticatedError": "it refuses these credentials",
    "FileNotFoundError": "it is not there",
}
_HINT: Final = (
    "check the bucket's name, AWS_ENDPOINT_URL_S3, AWS_REGION and what these credentials may do; "
    "the same command goes on"
)

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Put:
    """A file that was put: its size in bytes, SHA-256 (hexadecimal), and the place's mark of it."""

    size: int
    sha256: str
    mark: str


def pieces(reading: BinaryIO, length: int | None = None) -> Iterator[bytes]:
    """A file's bytes, or its first `length`, a piece at a time.

    Raises:
        OSError: it can't be read.
    """
    read = 0
    while piece := reading.read(_PIECE if length is None else min(_PIECE, length - read)):
        read += len(piece)
        yield piece


@dataclass(frozen=True, slots=True)
class BucketPatience:
    """How long a bucket is waited for, in seconds: until it connects, for one request from its
    first byte to its last, for its next byte; how often a request is asked again, and for how long
    in all.
    """

    connect: float = 10.0
    request: float = 300.0
    silence: float = 60.0
    again: int = 4
    all: float = 180.0


class Bucket:
    """Objects of one bucket below one prefix. Made for one backup, restore or dataset, and used by
    some threads at once. See `backup.places.BackupPlace`.
    """

    at_once = 4

    def __init__(self, given: str, environment: Mapping[str, str]) -> None:
        """`given`: `s3://BUCKET/PREFIX`. Nothing is asked yet.

        Raises:
            InputError: code `configuration`, it names no bucket; there are no credentials; or the
                address is of plain HTTP to elsewhere.
        """
        bucket, prefix = _parts(given)
        self.named = f"s3://{bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._store = _opened(bucket, environment, BucketPatience())

    def file(self, name: str) -> None:
        """See `BackupPlace`: it has no files here."""

    def take(self, name: str, source: Path, length: int | None = None) -> Put:
        """See `BackupPlace`."""
        with source.open("rb") as reading:
            short = (os.fstat(reading.fileno()).st_size if length is None else length) <= _PART

            def put() -> Put:
                found, size = hashlib.sha256(), 0
                reading.seek(0)

                def through() -> Iterator[bytes]:
                    nonlocal size
                    for piece in pieces(reading, length):
                        found.update(piece)
                        size += len(piece)
                        yield piece

                said = self._store.put(
                    self._prefix + name,
                    b"".join(through()) if short else through(),
                    chunk_size=_PART,
                    max_concurrency=_PARTS_AT_ONCE,
                )
                return Put(size, found.hexdigest(), said["e_tag"] or "")

            return self._asked("written", name, put)

    def write(self, name: str, content: bytes) -> None:
        """See `BackupPlace`."""
        self._asked("written", name, lambda: self._store.put(self._prefix + name, content))

    def mark(self, name: str) -> tuple[int, str] | None:
        """See `BackupPlace`: the object's entity tag."""
        found = self._asked("read", name, lambda: self._head(name))
        return None if found is None else (found["size"], found["e_tag"] or "")

    def pieces(self, name: str) -> Iterator[bytes]:
        """See `BackupPlace`. Each piece is asked for by itself: who reads compares the whole."""
        found = self._asked("read", name, lambda: self._head(name))
        if found is None:
            raise FileNotFoundError(name)
        for start in range(0, found["size"], _PART):
            end = min(start + _PART, found["size"])
            get = partial(self._store.get_range, self._prefix + name, start=start, end=end)
            yield bytes(self._asked("read", name, get))

    def settle(self) -> None:
        """See `BackupPlace`: an object is durable when it has been put."""

    def names(self) -> Iterator[str]:
        """See `BackupPlace`."""
        listed = iter(self._store.list(self._prefix or None))
        while some := self._asked("listed", "", lambda: next(listed, None)):
            for one in some:
                yield one["path"].removeprefix(self._prefix)

    def remove(self, some: list[str]) -> None:
        """See `BackupPlace`."""
        for name in some:
            with suppress(StorageError):
                self._asked("written", name, partial(self._store.delete, self._prefix + name))

    def _head(self, name: str) -> ObjectMeta | None:
        try:
            return self._store.head(self._prefix + name)
        except FileNotFoundError:
            return None

    def _asked(self, what: str, name: str, ask: Callable[[], _Answer]) -> _Answer:
        """Ask the store. That a bucket is not there is an error like others: never that of a file
        which is to be copied.
        """
        from obstore.exceptions import BaseError

        for left in reversed(range(_TRIES)):
            try:
                return ask()
            except (BaseError, OSError, ValueError) as error:
                kind = type(error).__name__
                if kind not in _FOR_GOOD and left:
                    continue
                where = f"{self.named}/{name}".rstrip("/")
                said = f"{where} can't be {what} ({why(error)})."
                raise StorageError(said, hint=_HINT) from None
        raise AssertionError


class _Credentials:
    """What a store is asked with, as the AWS SDKs find it and renew it. The bucket owns it; its
    store calls it whenever it needs credentials, on whichever thread it asks from. It shows them to
    nobody else.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Raises: InputError, code `configuration`: there are none."""
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session

        session = Session()
        self.region = environment.get("AWS_REGION") or session.get_config_variable("region")
        try:
            self._found = session.get_credentials()
        except BotoCoreError:
            self._found = None
        if self._found is None:
            raise InputError(
                "there are no credentials for a bucket.",
                code="configuration",
                hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another way that the AWS "
                "SDKs know, where the server runs, or this command if none does",
            )

    def __call__(self) -> S3Credential:
        """Those of the moment."""
        frozen = self._found.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + timedelta(minutes=5),
        }


def why(error: Exception) -> str:
    """What is said of a store's error: its kind, or what that means, and nothing of an answer."""
    kind = type(error).__name__
    if "<Code>NoSuchBucket</Code>" in str(error):  # a list says it in no other way
        kind = FileNotFoundError.__name__
    return _FOR_GOOD.get(kind, kind)


def open_store(
    given: str, environment: Mapping[str, str], patience: BucketPatience, within: str = ""
) -> S3Store:
    """The store of what lies below the prefix of `given`, `s3://BUCKET/PREFIX`, and there `within`
    a further one. Nothing is asked yet.

    Raises:
        InputError: code `configuration`, as of a `Bucket`.
    """
    bucket, prefix = _parts(given)
    below = "/".join(part for part in (prefix, within) if part)
    return _opened(bucket, environment, patience, below or None)


def _parts(given: str) -> tuple[str, str]:
    """The bucket's name and the prefix."""
    bucket, _, prefix = given.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    if _BUCKET.fullmatch(bucket) is None or not _is_plain(prefix):
        raise InputError(
            "this names no bucket.", code="configuration", hint="name s3://BUCKET/PREFIX"
        )
    return bucket, prefix


def _opened(
    bucket: str, environment: Mapping[str, str], patience: BucketPatience, prefix: str | None = None
) -> S3Store:
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    credentials = _Credentials(environment)
    address = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    here = False
    config: S3Config = {
        "region": credentials.region or "us-east-1",
        "checksum_algorithm": "SHA256",
    }
    if address:
        parts = urlsplit(address)
        here = is_loopback(parts.hostname or "")
        if parts.scheme != "https" and not (parts.scheme == "http" and here):
            raise InputError(
                "AWS_ENDPOINT_URL_S3 is no address that can be used.",
                code="configuration",
                hint="it begins with https://; http:// is for this machine alone",
            )
        config["endpoint"] = address.rstrip("/")
        config["virtual_hosted_style_request"] = False
    client: ClientConfig = {
        "allow_http": here,
        "connect_timeout": timedelta(seconds=patience.connect),
        "read_timeout": timedelta(seconds=patience.silence),
        "timeout": timedelta(seconds=patience.request),
    }
    if trusted := _certificates(environment):
        client["root_certificate"] = trusted
    try:
        return S3Store(
            bucket,
            prefix=prefix,
            config=config,
            client_options=client,
            retry_config={
                "max_retries": patience.again,
                "retry_timeout": timedelta(seconds=patience.all),
            },
            credential_provider=credentials,
        )
    except (BaseError, ValueError) as error:
        raise InputError(
            f"the bucket can't be asked ({type(error).__name__}).",
            code="configuration",
            hint="check AWS_ENDPOINT_URL_S3 and AWS_REGION",
        ) from None


def _certificates(environment: Mapping[str, str]) -> bytes:
    """Certificates that are trusted beside the system's, as everywhere (`outbound.network`)."""
    found = b""
    for variable in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
        if file := environment.get(variable):
            try:
                found += Path(file).read_bytes() + b"\n"
            except OSError as error:
                raise InputError(
                    f"What {variable} names can't be used ({error.strerror}).",
                    code="configuration",
                    hint="give a PEM file that you may read",
                ) from None
    return found


def _is_plain(prefix: str) -> bool:
    """Whether a prefix is names with slashes, and nothing that a store or a shell reads anew."""
    return not prefix or all(map(_PART_OF_PREFIX.fullmatch, prefix.split("/")))
