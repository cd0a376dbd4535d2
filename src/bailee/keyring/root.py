"""The root key: what everything in the keyring is wrapped under, and where it is kept.

* A root has generations. `add` makes a new one; `destroy` makes an old one unusable for good, and
  with it every older copy of the keyring that was wrapped under it.
* A driver wraps and unwraps; it need not hand out the key, so a key management service fits.
* `FileRoot` keeps one line per generation, of fixed width, in a file of mode 0600 that is only
  appended to; destroying overwrites the key in place and syncs. A disk may keep what was
  overwritten (flash translation, snapshots, copy-on-write file systems): where that counts, keep
  the root in a service. Never back the file up together with the keyring.
* `EnvironmentRoot` keeps the same file, with each generation sealed under a key from an environment
  variable: the disk alone opens nothing, and rotation works all the same.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bailee.errors import InputError, IntegrityError, StorageError
from bailee.keyring.wrapping import KEY_BYTES, NONCE_BYTES, associated, seal, unseal

Random = Callable[[int], bytes]


class Root(Protocol):
    """A root key with generations."""

    def generations(self) -> tuple[int, ...]:
        """The living generations, oldest first; at least one. New wraps use the last."""

    def add(self) -> int:
        """Make the next generation, durable when this returns; its number."""

    def destroy(self, generation: int) -> None:
        """Make a generation unusable for good. Nothing happens if it is gone already."""

    def wrap(self, generation: int, key: bytes, data: bytes) -> bytes:
        """`key` sealed under a generation, bound to `data`."""

    def unwrap(self, generation: int, wrapped: bytes, data: bytes) -> bytes:
        """What `wrap` sealed.

        Raises:
            IntegrityError: it does not authenticate (`tampered`), or the generation has been
                destroyed (`key_destroyed`).
        """


class FileRoot:
    """Root generations in a file of their own."""

    def __init__(self, path: Path, random: Random = os.urandom) -> None:
        """Open the file at `path`, or make it with a first generation.

        Raises:
            InputError: others may read the file, or it belongs to another driver.
            IntegrityError: the file is damaged.
            StorageError: the file can't be read or written.
        """
        self._path = path
        self._random = random
        self._lock = threading.Lock()
        self._keys: dict[int, bytes] = {}
        self._places: dict[int, tuple[int, int]] = {}
        self._last = 0
        self._size = 0
        with self._storage():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if path.exists():
                if path.stat().st_mode & 0o077:
                    raise InputError(
                        f"others may read the root key file {path.name}.",
                        code="configuration",
                        hint=f"chmod 600 {path}",
                    )
                self._read()
        if not self._keys:
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
            head = json.dumps({"generation": number, "driver": self._driver})[:-1] + ', "key": "'
            line = f'{head}{kept}"}}\n'.encode()
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(descriptor, self._size)  # a line cut short by a crash was never used
                os.pwrite(descriptor, line, self._size)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            _sync_folder(self._path.parent)
            self._places[number] = (self._size + len(head), len(kept))
            self._size += len(line)
            self._last = number
            self._keys[number] = key
            return number

    def destroy(self, generation: int) -> None:
        """Overwrite the generation's key with zeros, in place, and sync."""
        with self._lock, self._storage():
            if generation not in self._keys:
                return
            if len(self._keys) == 1:
                raise ValueError("the only generation can't be destroyed")
            offset, width = self._places[generation]
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(descriptor, b"0" * width, offset)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            del self._keys[generation]

    def wrap(self, generation: int, key: bytes, data: bytes) -> bytes:
        """`key` sealed under a generation, bound to `data`."""
        return seal(self._key(generation), key, data, self._random(NONCE_BYTES))

    def unwrap(self, generation: int, wrapped: bytes, data: bytes) -> bytes:
        """What `wrap` sealed."""
        return unseal(self._key(generation), wrapped, data, "a wrapped key")

    _driver = "file"

    def _conceal(self, generation: int, key: bytes) -> bytes:  # noqa: ARG002
        return key

    def _reveal(self, generation: int, kept: bytes) -> bytes:  # noqa: ARG002
        return kept

    def _key(self, generation: int) -> bytes:
        try:
            return self._keys[generation]
        except KeyError:
            raise IntegrityError(
                f"root generation {generation} has been destroyed.",
                code="key_destroyed",
                hint="this copy of the keyring is older than the last rotation",
            ) from None

    def _read(self) -> None:
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        for line in whole.splitlines(keepends=True):
            try:
                entry = json.loads(line)
                number, driver = int(entry["generation"]), entry["driver"]
                kept = bytes.fromhex(entry["key"])
            except (ValueError, KeyError, TypeError) as error:
                raise IntegrityError(
                    f"the root key file {self._path.name} is damaged.",
                    hint="restore it from its own backup",
                ) from error
            if driver != self._driver:
                raise InputError(
                    f"the root key file was made by the driver {driver!r}, not {self._driver!r}.",
                    code="configuration",
                    hint="set keyring.root to what it was",
                )
            width = len(entry["key"])
            self._places[number] = (self._size + line.index(b'"key": "') + 8, width)
            self._size += len(line)
            self._last = max(self._last, number)
            if any(kept):
                self._keys[number] = self._reveal(number, kept)

    def _storage(self) -> _StorageErrors:
        return _StorageErrors(self._path.name)


class EnvironmentRoot(FileRoot):
    """Root generations in a file, each sealed under a key from an environment variable."""

    _driver = "environment"

    def __init__(self, path: Path, value: str, random: Random = os.urandom) -> None:
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
        super().__init__(path, random)

    def _conceal(self, generation: int, key: bytes) -> bytes:
        data = associated("bailee/root/1", generation)
        return seal(self._sealing, key, data, self._random(NONCE_BYTES))

    def _reveal(self, generation: int, kept: bytes) -> bytes:
        data = associated("bailee/root/1", generation)
        return unseal(self._sealing, kept, data, "the root key file")


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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
