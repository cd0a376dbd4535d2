"""The root key in a file of the home, or in one that an environment variable's key opens.

* `FileRoot` keeps one line per generation, of fixed width, in a file of mode 0600 that is only
  appended to; destroying overwrites the key in place and syncs. Reading changes nothing: a last
  line without its end is whole if it can be read, and a new root is made only where nothing is
  wrapped under an old one. What an append would write over is put aside first.
  A disk may keep what was overwritten (flash translation, snapshots, copy-on-write file systems):
  where that counts, keep the root in a service. Never back the file up together with the keyring.
* `EnvironmentRoot` keeps the same file, with each generation sealed under a key from an environment
  variable: the disk alone opens nothing, and rotation works all the same.
* While a home moves from one to the other, the file has lines of both.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.errors import InputError, IntegrityError, StorageError
from bailee.keyring.roots.root import Bound, Random, Root, gone
from bailee.keyring.wrapping import (
    KEY_BYTES,
    NONCE_BYTES,
    SEALED_KEY_BYTES,
    associated,
    cipher,
    seal,
    unseal,
)
from bailee.syncing import sync_folder


class FileRoot(Root):
    """Root generations in a file of their own. The keyring's store has it, and calls it from any
    thread; it alone writes the file, under its lock. It has the keys in memory, and hands out none.
    """

    driver = "file"

    def __init__(
        self,
        path: Path,
        random: Random = os.urandom,
        *,
        may_make: bool = True,
        moving: bool = False,
    ) -> None:
        """Open the file at `path`, or make it with a first generation if it `may_make` one: if
        nothing is wrapped under a root that was here before. While a home is `moving`, the file may
        also be another driver's, or have no generation any more.

        Raises:
            InputError: others may read the file, or it belongs to another driver.
            IntegrityError: the file is damaged; or there is no key in it, and it may make none.
            StorageError: the file can't be read or written.
        """
        self._path = path
        self._random = random
        self._moving = moving
        self._lock = threading.Lock()  # while the file is written; `_keys` are read without
        self._keys: dict[int, bytes] = {}
        self._places: dict[int, tuple[int, int]] = {}
        self._last = 0
        self._size = 0
        self._ends = ""  # what the last line lacks
        with self._storage():
            if path.exists():
                if path.stat().st_mode & 0o077:
                    raise InputError(
                        f"others may read the root key file {path.name}.",
                        code="configuration",
                        hint=f"chmod 600 {path}",
                    )
                self._read()
        if self._keys or (moving and not may_make):
            return
        if not may_make:
            raise IntegrityError(
                f"there is no root key in {path.name}, and the keyring has keys under one.",
                hint=f"put {path} back from its own backup; nothing was changed",
            )
        self.add()

    def generations(self) -> tuple[int, ...]:
        """The living generations, oldest first."""
        return tuple(sorted(self._keys))

    def add(self) -> int:
        """Append a line with the next generation's key."""
        with self._lock, self._storage():
            number = self._last + 1
            key = self._random(KEY_BYTES)
            kept = self._conceal(number, key).hex()
            head = json.dumps({"generation": number, "driver": self.driver})[:-1] + ', "key": "'
            head = self._ends + head
            line = f'{head}{kept}"}}\n'.encode()
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._put_aside()
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(descriptor, self._size)
                os.pwrite(descriptor, line, self._size)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(self._path.parent)
            self._places[number] = (self._size + len(head), len(kept))
            self._size += len(line)
            self._ends = ""
            self._last = number
            self._keys[number] = key
            return number

    def _put_aside(self) -> None:
        """Copy what lies behind the last whole line, such as one that a crash cut short, into a
        file beside this one.
        """
        rest = self._path.read_bytes()[self._size :] if self._path.exists() else b""
        if rest.strip():
            beside = self._path.with_name(f"{self._path.name}.cut-{self._random(4).hex()}")
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, rest)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def destroy(self, generation: int) -> None:
        """Overwrite the generations' keys with zeros, in place, and sync."""
        with self._lock, self._storage():
            ended = [number for number in self._keys if number <= generation]
            if not ended:
                return
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                for number in ended:
                    offset, width = self._places[number]
                    os.pwrite(descriptor, b"0" * width, offset)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            for number in ended:
                del self._keys[number]

    def wrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes]:
        """Keys sealed under a generation."""
        if generation not in self._keys:
            raise gone(generation)
        key = cipher(self._keys[generation])
        return [seal(key, one, data, self._random(NONCE_BYTES)) for one, data in some]

    def unwrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes | IntegrityError]:
        """What `wrap_all` sealed."""
        if generation not in self._keys:
            return [gone(generation)] * len(some)
        key = cipher(self._keys[generation])
        return [_opened(key, *one) for one in some]

    def _conceal(self, generation: int, key: bytes) -> bytes:  # noqa: ARG002
        return key

    def _reveal(self, generation: int, kept: bytes) -> bytes:  # noqa: ARG002
        return kept

    def _read(self) -> None:
        for line in self._path.read_bytes().splitlines(keepends=True):
            whole = line.endswith(b"\n")
            if not line.strip():  # an editor's
                self._size += len(line)
                continue
            try:
                entry = json.loads(line)
                number, driver = int(entry["generation"]), entry["driver"]
                kept = bytes.fromhex(entry["key"])
                place = line.index(entry["key"].encode())
                if len(kept) not in (KEY_BYTES, SEALED_KEY_BYTES) or number in self._places:
                    raise ValueError("no key of ours, or a second one of a generation")
            except (ValueError, KeyError, TypeError) as error:
                if not whole:
                    return  # cut short by a crash, and never used; or nothing has been before
                raise IntegrityError(
                    f"the root key file {self._path.name} is damaged.",
                    hint="restore it from its own backup",
                ) from error
            if driver != self.driver and any(kept) and not self._moving:
                raise InputError(
                    f"the root key file was made by the driver {driver!r}, not {self.driver!r}.",
                    code="configuration",
                    hint="set keyring.root to what it was, or: bailee keyring move",
                )
            width = len(entry["key"])
            self._places[number] = (self._size + place, width)
            self._size += len(line)
            self._ends = "" if whole else "\n"
            self._last = max(self._last, number)
            if any(kept) and driver == self.driver:
                self._keys[number] = self._reveal(number, kept)

    def _storage(self) -> _StorageErrors:
        return _StorageErrors(self._path.name)


class EnvironmentRoot(FileRoot):
    """Root generations in a file, each sealed under a key from an environment variable. Otherwise
    as `FileRoot`. That key is in memory alone, and is never written.
    """

    driver = "environment"

    def __init__(
        self,
        path: Path,
        value: str,
        random: Random = os.urandom,
        *,
        may_make: bool = True,
        moving: bool = False,
    ) -> None:
        """`value`: what the variable holds, 32 bytes in base64.

        Raises:
            InputError: `value` is not 32 bytes in base64.
            IntegrityError: the file was sealed under another key.
        """
        try:
            self._sealing = base64.b64decode(value, validate=True)
        except binascii.Error:
            self._sealing = b""
        if len(self._sealing) != KEY_BYTES:
            raise InputError(
                "the root key in the environment is not 32 bytes in base64.",
                code="configuration",
                hint="make one with: openssl rand -base64 32",
            )
        super().__init__(path, random, may_make=may_make, moving=moving)

    def _conceal(self, generation: int, key: bytes) -> bytes:
        data = associated("bailee/root/1", generation)
        return seal(self._sealing, key, data, self._random(NONCE_BYTES))

    def _reveal(self, generation: int, kept: bytes) -> bytes:
        data = associated("bailee/root/1", generation)
        return unseal(self._sealing, kept, data, "the root key file")


def _opened(key: AESGCM, wrapped: bytes, data: bytes) -> bytes | IntegrityError:
    try:
        return unseal(key, wrapped, data, "a wrapped key")
    except IntegrityError as error:
        return error


class _StorageErrors:
    """Turns an `OSError` into a `StorageError` that names the file."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise StorageError(
                f"the root key file {self._name} can't be read or written ({error.strerror}).",
                hint="check the folder's permissions and free space",
            ) from error
