"""The root key in the transit engine of OpenBao or HashiCorp Vault: a generation is a version.

* A wrap is AES-256-GCM with our associated data, made there. What is kept of it is 60 bytes as of
  every other root: the version before it is the generation, which the keyring has anyway.
* To destroy versions is to raise both minima and to trim: what is trimmed can't be brought back.
  The newest can't be trimmed; so that it goes too, another comes after it.
* The service takes the newest version for one that is too old without a word, and makes a key that
  is not there when it is to encrypt under it. So the version that an answer names is compared, and
  the token's policy must not allow `create`.

See https://openbao.org/api-docs/secret/transit/
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from bailee.clock import Ticks, ticks
from bailee.errors import InputError, IntegrityError
from bailee.json_values import JsonObject, members, objects, text, whole
from bailee.keyring.roots.root import Bound, unauthentic
from bailee.keyring.roots.service import CONNECTING, SECONDS, RootUnreachable, ServiceRoot
from bailee.outbound.network import Network

_BATCH: Final = 200  # 400 are refused
_HINT: Final = "whoever runs it: is it there, unsealed, and does the token's policy allow {}?"
_NOT_OURS: Final = frozenset(
    {
        "cipher: message authentication failed",
        "invalid ciphertext: could not decode base64",
        "invalid ciphertext length",
    }
)


class TransitRoot(ServiceRoot):
    """Generations as the versions of one key of a transit engine. It owns the client; it is asked
    as `ServiceRoot` says. The token is read anew as it is needed, and kept nowhere.
    """

    driver = "transit"
    called = "the transit engine"

    def __init__(
        self,
        address: str,
        token: Callable[[], str],
        network: Network,
        *,
        may_make: bool,
        moving: bool = False,
        ticking: Ticks = ticks,
    ) -> None:
        """`address`: the key's, `https://HOST:8200/v1/transit/keys/NAME`; it has to be there.
        `token` is asked for with each call.

        Raises:
            InputError: code `configuration`; it is no such address.
            IntegrityError, StorageError: see `ServiceRoot`.
        """
        import httpx2

        mount, _, name = address.partition("/keys/")
        if not urlsplit(mount).path.startswith("/v1/") or not name or "/" in name:
            raise InputError(
                "keyring.root names no key of a transit engine.",
                code="configuration",
                hint="write it like transit:https://vault.example.com:8200/v1/transit/keys/bailee",
            )
        self._client = network.client(address, "keyring.root", SECONDS)
        self._client.timeout = httpx2.Timeout(SECONDS, connect=CONNECTING)
        self._mount, self._name, self._token = mount, name, token
        super().__init__(may_make=may_make, moving=moving, ticking=ticking)

    def _list(self) -> tuple[int, ...]:
        key = self._asked("GET", f"keys/{self._name}", "read")
        least = max(1, whole(key["min_available_version"]))
        newest = whole(key["latest_version"])
        made = whole(members(key["keys"])["1"]) if newest == 1 else None
        self.first_made = None if made is None else datetime.fromtimestamp(made, UTC)
        return tuple(range(least, newest + 1))

    def _make(self) -> None:
        self._asked("POST", f"keys/{self._name}/rotate", "update", {})

    def _end(self, generation: int) -> None:
        if generation >= self._living[-1]:
            self._make()
        least = generation + 1
        minima = {"min_decryption_version": least, "min_encryption_version": least}
        self._asked("POST", f"keys/{self._name}/config", "update", minima)
        trimmed = {"min_available_version": least}
        self._asked("POST", f"keys/{self._name}/trim", "update", trimmed)

    def _seal(self, generation: int, some: Sequence[Bound]) -> list[bytes]:
        begins, found = f"vault:v{generation}:", []
        for part in _parts(some):
            batch = [
                {"plaintext": _text(key), "associated_data": _text(data)} for key, data in part
            ]
            asked = {"key_version": generation, "batch_input": batch}
            answer = self._asked("POST", f"encrypt/{self._name}", "update", asked)
            for one in _results(answer, part):
                wrapped = text(one.get("ciphertext"))
                if not wrapped.startswith(begins):
                    raise RootUnreachable("did not wrap under the version asked for", _hint("it"))
                found.append(base64.b64decode(wrapped.removeprefix(begins)))
        return found

    def _open(self, generation: int, some: Sequence[Bound]) -> list[bytes | IntegrityError]:
        found: list[bytes | IntegrityError] = []
        for part in _parts(some):
            batch = [
                {
                    "ciphertext": f"vault:v{generation}:{_text(wrapped)}",
                    "associated_data": _text(data),
                }
                for wrapped, data in part
            ]
            answer = self._asked("POST", f"decrypt/{self._name}", "update", {"batch_input": batch})
            for one in _results(answer, part):
                error = one.get("error")
                if error in _NOT_OURS:
                    found.append(unauthentic("a wrapped key"))
                elif error:
                    raise RootUnreachable("refuses to open a key", _hint("decrypting"))
                else:
                    found.append(base64.b64decode(text(one["plaintext"])))
        return found

    def _asked(self, method: str, path: str, may: str, body: object = None) -> JsonObject:
        import httpx2

        try:
            answer = self._client.request(
                method,
                f"{self._mount}/{path}",
                content=None if body is None else json.dumps(body).encode(),
                headers={"x-vault-token": self._token()},
            )
        except (httpx2.HTTPError, OSError) as error:
            kind = type(error).__name__
            raise RootUnreachable(f"does not answer ({kind})", _hint(may)) from None
        if answer.status_code == 204:
            return {}
        try:
            data = answer.json()["data"]
            if answer.status_code in (200, 400) and isinstance(data, dict):
                return data  # a batch of which some can't be opened comes with 400
        except (ValueError, KeyError, TypeError):
            pass
        raise RootUnreachable(f"refuses ({answer.status_code})", _hint(may))


def _hint(may: str) -> str:
    return _HINT.format(may)


def _results(answer: JsonObject, part: Sequence[Bound]) -> list[JsonObject]:
    results = objects(answer.get("batch_results"))
    if len(results) != len(part):
        raise ValueError("not what was asked for")
    return results


def _parts(some: Sequence[Bound]) -> Iterator[Sequence[Bound]]:
    return (some[start : start + _BATCH] for start in range(0, len(some), _BATCH))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
