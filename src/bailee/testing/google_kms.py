"""Google Cloud KMS as far as a root key goes, and the place its tokens come from, on 127.0.0.1.

It answers as the real one does (v1): names, states, statuses and the shape of its errors, for a key
that is not there, a version that is not enabled, a ciphertext that is not its own, other associated
data, and a token that it has not given. What it is asked is not limited, and nobody lacks a
permission. A version that is to be destroyed stays `DESTROY_SCHEDULED`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.json_values import Json, JsonObject, members, text
from bailee.testing.threaded import ThreadedServer

_TOKEN: Final = "ya29.a-token-of-the-fake"  # noqa: S105
_PATH: Final = re.compile(
    r"/v1/(?P<key>projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/:?]+)"
    r"(?P<versions>/cryptoKeyVersions)?(/(?P<number>\d+))?(:(?P<verb>[a-zA-Z]+))?(\?.*)?"
)
_Answer = tuple[int, JsonObject]


@dataclass
class KmsVersion:
    """A version of a key: its state, its bytes, and when it was made."""

    state: str
    key: bytes
    made: datetime = field(default_factory=lambda: datetime.now(UTC))


class GoogleKms(ThreadedServer):
    """The server; use it as a context. `keys`: by name, of each version its state and its bytes."""

    def __init__(self, scheduled: timedelta = timedelta(days=1)) -> None:
        """`scheduled`: how long a version can be restored after it was destroyed."""
        self.keys: dict[str, dict[int, KmsVersion]] = {}
        self._scheduled = scheduled
        self._lock = threading.Lock()

    def make(self, name: str) -> str:
        """A key with its first version, as an operator makes one; its resource name."""
        key = f"projects/orchard/locations/europe-west1/keyRings/home/cryptoKeys/{name}"
        self.keys[key] = {1: KmsVersion("ENABLED", os.urandom(32))}
        return key

    def credentials(self, file: Path) -> Path:
        """A service account's key in a file, whose tokens come from here."""
        private = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "type": "service_account",
            "project_id": "orchard",
            "private_key_id": "1",
            "private_key": private.decode(),
            "client_email": "bailee@orchard.iam.gserviceaccount.com",
            "token_uri": f"{self.url}/token",
        }
        file.write_text(json.dumps(account))
        return file

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                authorization = self.headers.get("authorization", "")
                status, answer = outer.answer(self.command, self.path, authorization, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json; charset=UTF-8")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.begin(Handler)
        return self

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> _Answer:
        """Status and answer to one request."""
        if path == "/token":
            return 200, {"access_token": _TOKEN, "expires_in": 3599, "token_type": "Bearer"}
        if authorization != f"Bearer {_TOKEN}":
            return _error(401, "UNAUTHENTICATED")
        found = _PATH.fullmatch(path)
        if found is None or found["key"] not in self.keys:
            return _error(404, "NOT_FOUND")
        with self._lock:
            return self._known(method, found, members(json.loads(body or b"{}")))

    def _known(self, method: str, asked: re.Match[str], body: JsonObject) -> _Answer:
        key, versions = asked["key"], self.keys[asked["key"]]
        number, verb = int(asked["number"] or 0), asked["verb"]
        if number and number not in versions:
            return _error(404, "NOT_FOUND")
        if verb == "decrypt" and not number:
            return self._opened(versions, body)
        if verb == "encrypt" and number:
            if versions[number].state != "ENABLED":
                return _error(400, "FAILED_PRECONDITION")
            return 200, {
                "name": _version(key, number),
                "ciphertext": _sealed(versions[number].key, number, body),
            }
        if verb == "destroy" and number:
            if versions[number].state not in ("ENABLED", "DISABLED"):
                return _error(400, "FAILED_PRECONDITION")
            versions[number].state = "DESTROY_SCHEDULED"
            return 200, self._shown(key, number)
        if verb is None and asked["versions"] and method == "POST":
            made = max(versions) + 1
            versions[made] = KmsVersion("ENABLED", os.urandom(32))
            return 200, self._shown(key, made)
        if verb is None and asked["versions"]:
            shown: list[Json] = [self._shown(key, number) for number in versions]
            return 200, {"cryptoKeyVersions": shown, "totalSize": len(shown)}
        seconds = f"{int(self._scheduled.total_seconds())}s"
        purpose = "ENCRYPT_DECRYPT"
        return 200, {"name": key, "purpose": purpose, "destroyScheduledDuration": seconds}

    def _shown(self, key: str, number: int) -> JsonObject:
        state = self.keys[key][number].state
        shown: JsonObject = {
            "name": _version(key, number),
            "state": state,
            "createTime": self.keys[key][number].made.isoformat(),
        }
        if state == "DESTROY_SCHEDULED":
            shown["destroyTime"] = (datetime.now(UTC) + self._scheduled).isoformat()
        return shown

    def _opened(self, versions: dict[int, KmsVersion], body: JsonObject) -> _Answer:
        sealed = base64.b64decode(text(body["ciphertext"]))
        number = int.from_bytes(sealed[:4], "big")
        if number not in versions:
            return _error(400, "INVALID_ARGUMENT")
        state, key = versions[number].state, versions[number].key
        if state != "ENABLED":
            return _error(400, "FAILED_PRECONDITION")
        try:
            plain = AESGCM(key).decrypt(sealed[4:16], sealed[16:], _data(body))
        except InvalidTag:
            return _error(400, "INVALID_ARGUMENT")
        return 200, {"plaintext": base64.b64encode(plain).decode()}


def _sealed(key: bytes, number: int, body: JsonObject) -> str:
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, base64.b64decode(text(body["plaintext"])), _data(body))
    return base64.b64encode(number.to_bytes(4, "big") + nonce + sealed).decode()


def _data(body: JsonObject) -> bytes:
    return base64.b64decode(text(body.get("additionalAuthenticatedData")))


def _version(key: str, number: int) -> str:
    return f"{key}/cryptoKeyVersions/{number}"


def _error(code: int, status: str) -> _Answer:
    return code, {"error": {"code": code, "message": "see the status", "status": status}}
