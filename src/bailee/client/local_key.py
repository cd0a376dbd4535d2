"""The key of this machine's own store, and what is sealed under it.

The key is in the operating system's keyring when the package `keyring` is installed and has one to
offer, else in a file of mode 0600. Which of the two was chosen at the first use is written down, so
that installing a package later does not make what is kept unreadable.

Rules kept here:

* AES-256-GCM with a random 96-bit nonce. Each sealed thing has a key of its own, wrapped under the
  machine's key; forgetting it overwrites and removes the wrapped key.
* Associated data bind a ciphertext to what and where it is: it does not open in another place.
* A key file that others can read is refused, not mended in silence.

Standard: NIST SP 800-38D.
Rows: R3, D4.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.errors import InputError, IntegrityError, StorageError
from bailee.syncing import sync_folder

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
OVERHEAD: Final = NONCE_BYTES + 16
_SERVICE: Final = "bailee"


class Ring(Protocol):
    """The part of the package `keyring` that is used."""

    def get_password(self, service: str, name: str) -> str | None:
        """A stored secret."""
        ...

    def set_password(self, service: str, name: str, password: str) -> None:
        """Store a secret."""
        ...


def system_ring() -> Ring | None:
    """The operating system's keyring, when there is one that works."""
    try:
        import keyring  # type: ignore[import-not-found,unused-ignore]
        from keyring.errors import KeyringError  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    try:
        backend: Any = keyring.get_keyring()
        return backend if backend.priority >= 1 else None
    except (KeyringError, RuntimeError, OSError):
        return None


def seal(key: bytes, content: bytes, about: bytes) -> bytes:
    """Nonce and ciphertext, bound to `about`."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, about)


def unseal(key: bytes, sealed: bytes, about: bytes) -> bytes:
    """The content of `seal`.

    Raises:
        IntegrityError: these are not the bytes that were sealed here.
    """
    if len(sealed) < OVERHEAD:
        raise _tampered()
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about)
    except InvalidTag:
        raise _tampered() from None


def machine_key(folder: Path, ring: Callable[[], Ring | None] = system_ring) -> bytes:
    """The key of the store in `folder`; made at the first use.

    Raises:
        InputError: code `configuration`; others can read the key file, or the keyring that holds
            the key is not there.
        StorageError: it can't be read or written.
    """
    file = folder / "key"
    name = f"local store {folder}"
    try:
        make_private(folder)
        text = _read_private(file)
        if text is None:
            text = _made(file, name, ring())
        if text == "keyring":
            held = ring()
            found = held.get_password(_SERVICE, name) if held is not None else None
            if found is None:
                raise InputError(
                    "The key of your local transcripts is in a keyring that is not there now.",
                    code="configuration",
                    hint=f"unlock it; or remove {folder} to start over, which loses what is kept",
                )
            text = found
    except OSError as error:
        raise StorageError(f"the key in {folder} can't be used ({error.strerror}).") from error
    try:
        key = base64.urlsafe_b64decode(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise IntegrityError(f"{file} is not a key.", hint="put back the one that was there")
    return key


def make_private(folder: Path) -> None:
    """A folder for its owner alone, and so every one above it that has to be made."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True, mode=0o700)


def write_private(path: Path, content: bytes, *, named: bool = True) -> None:
    """Write a file of mode 0600 whole or not at all, durably. `named` False: whoever asks syncs the
    folder.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if named:
        sync_folder(path.parent)


@contextlib.contextmanager
def alone(file: Path) -> Iterator[None]:
    """A note that several processes write: one at a time, another waits. Raises `StorageError`."""
    try:
        make_private(file.parent)
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StorageError(
            f"{file} can't be written ({error.strerror}): nothing was changed."
        ) from error


def wipe(path: Path) -> None:
    """Overwrite a small file with zeros, durably, and remove it; none there is fine."""
    with contextlib.suppress(FileNotFoundError):
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        sync_folder(path.parent)


def _made(file: Path, name: str, ring: Ring | None) -> str:
    text = base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    kept = text
    if ring is not None:
        with contextlib.suppress(Exception):  # a keyring fails in as many ways as there are ones
            ring.set_password(_SERVICE, name, text)
            if ring.get_password(_SERVICE, name) == text:
                kept = "keyring"
    temporary = file.with_name(f".key.{secrets.token_hex(4)}")
    write_private(temporary, kept.encode())
    try:
        os.link(temporary, file)  # fails if another process was first, whose key then holds
    except FileExistsError:
        held = _read_private(file)
        assert held is not None
        return held
    finally:
        temporary.unlink()
    sync_folder(file.parent)
    return kept


def _read_private(file: Path) -> str | None:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            raise InputError(
                f"The key {file} belongs to another user.",
                code="configuration",
                hint="find out who put it there; they can read what is kept under it",
            )
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise InputError(
                f"Others may read the key {file}.",
                code="configuration",
                hint=f"chmod 600 {file}, and ask who has read it since",
            )
        return opened.read(4096).decode("ascii", "replace").strip()


def _tampered() -> IntegrityError:
    return IntegrityError(
        "What is kept on this machine does not open with its key.",
        hint="bailee local list shows what does; delete what does not",
    )
