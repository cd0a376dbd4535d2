"""The root key in Google Cloud KMS: a generation is a version of one key.

* Each wrap and each opening names our associated data, and a wrap its version.
* To destroy a version is to schedule that: Google does it after what the key was made with
  (`--destroy-scheduled-duration`, 24 hours at the least, 30 days unless said), and can restore it
  until then. So that is the `lag`. From the moment on it is scheduled, nothing opens under it.

Credentials are Google's application default ones.
See https://cloud.google.com/kms/docs/reference/rest
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

from bailee.clock import Ticks, ticks
from bailee.errors import InputError, IntegrityError
from bailee.json_values import JsonObject, members, objects, text
from bailee.keyring.roots.root import Bound, unauthentic
from bailee.keyring.roots.service import CONNECTING, SECONDS, RootUnreachable, ServiceRoot
from bailee.outbound.google import GoogleCredential, NoGoogleCredential
from bailee.outbound.network import Network

URL: Final = "https://cloudkms.googleapis.com"
_KEY: Final = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/?#]+")
_HINT: Final = "whoever runs the project: may the service account use, make and destroy versions?"
_DEAD: Final = frozenset({"DESTROYED", "DESTROY_SCHEDULED", "GENERATION_FAILED"})


class GoogleKmsRoot(ServiceRoot):
    """Generations as the versions of one key of a Google Cloud project. It owns the client and the
    thread on which a token is fetched; it is asked as `ServiceRoot` says.
    """

    driver = "google-kms"
    called = "Google Cloud KMS"

    def __init__(
        self,
        key: str,
        network: Network,
        url: str | None = None,
        *,
        may_make: bool,
        moving: bool = False,
        ticking: Ticks = ticks,
    ) -> None:
        """`key`: its resource name; it has to be there. `url`: the service's, if it is not the
        usual one.

        Raises:
            InputError: code `configuration`; it is no such name.
            IntegrityError, StorageError: see `ServiceRoot`.
        """
        import httpx2

        if _KEY.fullmatch(key) is None:
            raise InputError(
                "keyring.root names no key of Google Cloud KMS.",
                code="configuration",
                hint="like google-kms:projects/P/locations/L/keyRings/R/cryptoKeys/K",
            )
        self._url, self._key = url or URL, key
        self._credential = GoogleCredential(network)
        self._fetching = ThreadPoolExecutor(1, "google")  # whoever asks may have an event loop
        self._client = network.client(self._url, "keyring.url", SECONDS)
        self._client.timeout = httpx2.Timeout(SECONDS, connect=CONNECTING)
        super().__init__(may_make=may_make, moving=moving, ticking=ticking)

    def _list(self) -> tuple[int, ...]:
        seconds = text(self._asked("GET", self._key)["destroyScheduledDuration"])
        self.lag = timedelta(seconds=float(seconds.removesuffix("s")))
        found, made, more = [], dict[int, str](), ""
        while True:
            page = self._asked("GET", f"{self._key}/cryptoKeyVersions?pageSize=1000{more}")
            for version in objects(page.get("cryptoKeyVersions")):
                number, state = (
                    int(text(version["name"]).rpartition("/")[2]),
                    text(version["state"]),
                )
                made[number] = text(version.get("createTime"))
                if state == "ENABLED":
                    found.append(number)
                elif state not in _DEAD:
                    raise RootUnreachable(
                        f"has generation {number} of it in the state {state}",
                        f"whoever runs the project: enable version {number} of the key",
                    )
            if not page.get("nextPageToken"):
                first = made.get(1) if len(made) == 1 else None
                self.first_made = datetime.fromisoformat(first) if first else None
                return tuple(sorted(found))
            more = f"&pageToken={page['nextPageToken']}"

    def _make(self) -> None:
        self._asked("POST", f"{self._key}/cryptoKeyVersions", {})

    def _end(self, generation: int) -> None:
        for number in self._living:
            if number <= generation:
                self._asked("POST", f"{self._key}/cryptoKeyVersions/{number}:destroy", {})

    def _seal(self, generation: int, some: Sequence[Bound]) -> list[bytes]:
        version = f"{self._key}/cryptoKeyVersions/{generation}"

        def seal(one: Bound) -> bytes:
            key, data = one
            asked = {"plaintext": _text(key), "additionalAuthenticatedData": _text(data)}
            answer = self._asked("POST", f"{version}:encrypt", asked)
            if answer.get("name") != version:
                raise RootUnreachable("did not wrap under the version it was asked to", _HINT)
            return base64.b64decode(text(answer["ciphertext"]))

        return self._each(seal, some)

    def _open(self, generation: int, some: Sequence[Bound]) -> list[bytes | IntegrityError]:
        def opened(one: Bound) -> bytes | IntegrityError:
            wrapped, data = one
            asked = {"ciphertext": _text(wrapped), "additionalAuthenticatedData": _text(data)}
            try:
                answer = self._asked("POST", f"{self._key}:decrypt", asked)
            except _OtherVersion:
                if generation not in self._list():
                    raise RootUnreachable("refuses to open a key", _HINT) from None
                return unauthentic("a wrapped key")
            except _NotOurs:
                return unauthentic("a wrapped key")
            return base64.b64decode(text(answer["plaintext"]))

        return self._each(opened, some)

    def _asked(self, method: str, path: str, body: object = None) -> JsonObject:
        import httpx2

        try:
            token = self._credential.held or self._fetching.submit(self._credential.token).result()
            answer = self._client.request(
                method,
                f"{self._url}/v1/{path}",
                content=None if body is None else json.dumps(body).encode(),
                headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
            )
        except NoGoogleCredential:
            hint = "set GOOGLE_APPLICATION_CREDENTIALS, or log in with gcloud"
            raise RootUnreachable("can't be asked without a credential", hint) from None
        except (httpx2.HTTPError, OSError) as error:
            raise RootUnreachable(f"does not answer ({type(error).__name__})", _HINT) from None
        try:
            said = answer.json()
        except ValueError:
            said = None
        if answer.status_code == 200 and isinstance(said, dict):
            return members(said)
        if path.endswith(":decrypt"):
            if _status(said) == "INVALID_ARGUMENT":
                raise _NotOurs
            if _status(said) == "FAILED_PRECONDITION":
                raise _OtherVersion
        raise RootUnreachable(f"refuses ({answer.status_code})", _HINT)


class _NotOurs(Exception):
    """A wrap that does not authenticate."""


class _OtherVersion(Exception):
    """A wrap under a version that is not enabled: Google finds the version by itself."""


def _status(said: object) -> str:
    return text(members(members(said).get("error")).get("status"))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
