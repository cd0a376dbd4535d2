"""The root key in a hardware module, by PKCS#11: a generation is an object on a token.

* Each is an AES key of 256 bits that can't be taken out. Its label is the name that `keyring.root`
  gives, its id the generation's number. A wrap is AES-GCM with our associated data, 60 bytes as of
  every other root.
* To destroy one is to destroy its object, at once.
* A PIN that is refused is not tried again: a token locks itself after a few.
* Some modules say no more than "general error" of a wrap that does not authenticate. Then it is
  tried whether the key opens what it has just sealed: if so, the wrap is wrong, and not the module.

The token is named by a URI (RFC 7512).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, unquote

from bailee.clock import Ticks, ticks
from bailee.errors import InputError, IntegrityError
from bailee.keyring.roots.root import Bound, Random, unauthentic
from bailee.keyring.roots.service import RootUnreachable, ServiceRoot
from bailee.keyring.wrapping import NONCE_BYTES

Untyped: TypeAlias = Any
"""What python-pkcs11 has: modules, sessions, keys."""

_BITS: Final = 256
_TAG_BITS: Final = 128
_LIKE: Final = "pkcs11:token=bailee;object=bailee?module-path=/usr/lib/softhsm/libsofthsm2.so"
_HINT: Final = "whoever runs the token: is it there, and is its PIN what keyring.pin_env says?"


class Pkcs11Root(ServiceRoot):
    """Generations as keys of one label on one token. It owns the session with the token, which one
    thread has at a time; it is asked as `ServiceRoot` says, and none of these keys ever leaves the
    token.
    """

    driver = "pkcs11"
    called = "the PKCS#11 token"

    def __init__(
        self,
        uri: str,
        pin: Callable[[], str],
        random: Random = os.urandom,
        *,
        may_make: bool,
        moving: bool = False,
        ticking: Ticks = ticks,
    ) -> None:
        """`uri`: `pkcs11:token=…;object=…?module-path=…`.

        Raises:
            InputError: code `configuration`; it is no such URI, or python-pkcs11 or the module is
                not there.
            IntegrityError, StorageError: see `ServiceRoot`.
        """
        self._random, self._pin = random, pin
        self._session: Untyped = None
        self._locked = False  # the PIN was refused
        path, _, query = uri.removeprefix("pkcs11:").partition("?")
        named = dict(part.partition("=")[::2] for part in path.split(";"))
        module = parse_qs(query).get("module-path", [""])[0]
        self._token, self._label = (unquote(named.get(name, "")) for name in ("token", "object"))
        if not (self._token and self._label and module):
            raise _wrong(
                "keyring.root names no token, object and module.", f"write it like {_LIKE}"
            )
        try:
            import pkcs11
        except ImportError:
            raise _wrong(
                "the root key is in a PKCS#11 token, and python-pkcs11 is not installed.",
                "pip install 'bailee[server,pkcs11]'",
            ) from None
        self._pkcs11: Untyped = pkcs11
        try:
            self._module = pkcs11.lib(module)
        except (RuntimeError, OSError):
            raise _wrong(f"{module} is no PKCS#11 module that can be loaded.", _LIKE) from None
        super().__init__(may_make=may_make, moving=moving, ticking=ticking)

    def _list(self) -> tuple[int, ...]:
        return tuple(sorted(self._on_token(lambda session: [*self._keys(session)])))

    def _make(self) -> None:
        it = self._pkcs11

        def make(session: Untyped) -> None:
            session.generate_key(
                it.KeyType.AES,
                _BITS,
                id=str(max(self._keys(session), default=0) + 1).encode(),
                label=self._label,
                store=True,
                capabilities=it.MechanismFlag.ENCRYPT | it.MechanismFlag.DECRYPT,
                template={it.Attribute.SENSITIVE: True, it.Attribute.EXTRACTABLE: False},
            )

        self._on_token(make)

    def _end(self, generation: int) -> None:
        def end(session: Untyped) -> None:
            for number, key in self._keys(session).items():
                if number <= generation:
                    key.destroy()

        self._on_token(end)

    def _seal(self, generation: int, some: Sequence[Bound]) -> list[bytes]:
        def sealed(session: Untyped) -> list[bytes]:
            key = self._key(session, generation)
            return [self._sealed(key, one, data) for one, data in some]

        wraps: list[bytes] = self._on_token(sealed)
        return wraps

    def _open(self, generation: int, some: Sequence[Bound]) -> list[bytes | IntegrityError]:
        def opened(session: Untyped) -> list[bytes | IntegrityError]:
            key = self._key(session, generation)
            return [self._opened(key, wrapped, data) for wrapped, data in some]

        keys: list[bytes | IntegrityError] = self._on_token(opened)
        return keys

    def _sealed(self, key: Untyped, value: bytes, data: bytes) -> bytes:
        nonce = self._random(NONCE_BYTES)
        sealed: bytes = key.encrypt(value, **self._gcm(nonce, data))
        return nonce + sealed

    def _opened(self, key: Untyped, wrapped: bytes, data: bytes) -> bytes | IntegrityError:
        wrong = self._pkcs11.exceptions
        try:
            return self._unsealed(key, wrapped, data)
        except (wrong.EncryptedDataInvalid, wrong.EncryptedDataLenRange):
            return unauthentic("a wrapped key")
        except (wrong.GeneralError, wrong.FunctionFailed):
            trial = self._random(len(data))
            if self._unsealed(key, self._sealed(key, trial, data), data) != trial:
                raise
            return unauthentic("a wrapped key")

    def _unsealed(self, key: Untyped, wrapped: bytes, data: bytes) -> bytes:
        gcm = self._gcm(wrapped[:NONCE_BYTES], data)
        value: bytes = key.decrypt(wrapped[NONCE_BYTES:], **gcm)
        return value

    def _gcm(self, nonce: bytes, data: bytes) -> dict[str, Untyped]:
        parameters = self._pkcs11.GCMParams(nonce, data, _TAG_BITS)
        return {"mechanism": self._pkcs11.Mechanism.AES_GCM, "mechanism_param": parameters}

    def _keys(self, session: Untyped) -> dict[int, Untyped]:
        it = self._pkcs11
        ours = {it.Attribute.CLASS: it.ObjectClass.SECRET_KEY, it.Attribute.LABEL: self._label}
        return {int(key.id): key for key in session.get_objects(ours) if key.id.isdigit()}

    def _key(self, session: Untyped, generation: int) -> Untyped:
        key = self._keys(session).get(generation)
        if key is None:
            raise RootUnreachable(f"has no generation {generation} of it any more", _HINT)
        return key

    def _on_token(self, call: Callable[[Untyped], Untyped]) -> Untyped:
        """What a call gives that is made in our session; one thread at a time may use it. A session
        that was open before may be at its end: then there is a second try, in a new one.
        """
        with self._changing:
            kept = self._session is not None
            try:
                if self._session is None:
                    self._session = self._opened_session()
                return call(self._session)
            except (RuntimeError, ValueError, OSError) as error:  # its own are a RuntimeError
                session, self._session = self._session, None
                with suppress(Exception):
                    session.close()
                refused = self._pkcs11.exceptions
                if isinstance(error, (refused.PinIncorrect, refused.PinLocked, refused.PinInvalid)):
                    self._locked = True
                elif kept:
                    return self._on_token(call)
                raise RootUnreachable(f"does not work ({type(error).__name__})", _HINT) from None

    def _opened_session(self) -> Untyped:
        if self._locked:
            raise RootUnreachable(
                "refused the PIN, which is not tried again",
                "set the right one where keyring.pin_env or keyring.pin_file says, and restart",
            )
        token = self._module.get_token(token_label=self._token)
        try:
            return token.open(rw=True, user_pin=self._pin())
        except self._pkcs11.exceptions.UserAlreadyLoggedIn:  # a process is, not a session
            return token.open(rw=True)


def _wrong(message: str, hint: str) -> InputError:
    return InputError(message, code="configuration", hint=hint)
