"""A GitHub App's token for one repository, for one purpose (GitHub REST, "Create an installation
access token for an app").

Rules kept here:

* The app's private key signs a statement that is good for some minutes (RFC 7519) and is sent to
  the API of its own host alone, to an address that was checked, over TLS.
* What is asked for is `contents` of one repository, to read or to write. An answer that gives
  anything more, workflows above all, is not used.
* No redirect is followed; of an error only the status is repeated.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import h11
import orjson
from joserfc import jwt
from joserfc.jwk import RSAKey

from bailee.errors import InputError, UpstreamError
from bailee.json_values import members, objects, text
from bailee.loopback import is_loopback
from bailee.outbound.dialing import AddressRefused, Dialer, Unreachable
from bailee.outbound.hosts import Host, NotAHost, read_authority
from bailee.outbound.http1 import Http1Connection

_LONGEST: Final = 1 << 20
_SECONDS: Final = 20.0
_GIVEN: Final = frozenset({"contents", "metadata"})


@dataclass(frozen=True, slots=True)
class GithubApi:
    """An address of GitHub's API. `path` has no slash at its end."""

    host: Host
    port: int
    path: str
    tls: bool

    @classmethod
    def read(cls, url: str) -> GithubApi:
        """From `https://api.github.com`, or `http://` for a server on loopback.

        Raises:
            InputError: code `configuration`, it is none.
        """
        parts = urlsplit(url)
        try:
            host, port = read_authority(parts.netloc, 443 if parts.scheme == "https" else 80)
        except NotAHost as error:
            raise InputError(f"GitHub's API: {error}.", code="configuration") from None
        local = host.address is not None and is_loopback(host.name)
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise InputError("GitHub's API is reached over https.", code="configuration")
        return cls(host, port, parts.path.rstrip("/"), parts.scheme == "https")

    @classmethod
    def of(cls, place: str) -> GithubApi:
        """The API of the host of a repository."""
        known = place == "github.com"
        return cls.read("https://api.github.com" if known else f"https://{place}/api/v3")


@dataclass(frozen=True, slots=True)
class App:
    """A GitHub App as it is installed. `private_key`: PEM, left out of `repr`."""

    app_id: str
    installation_id: str
    private_key: str

    def __repr__(self) -> str:
        return f"App({self.app_id!r}, {self.installation_id!r})"


def check_private_key(pem: str) -> None:
    """Whether a text is the private key of an app.

    Raises:
        InputError: it is none. The message does not repeat it.
    """
    try:
        private = RSAKey.import_key(pem).is_private
    except Exception:
        private = False
    if not private:
        raise InputError(
            "that is not an RSA private key.",
            hint="give the .pem file that GitHub made for the app",
        )


async def installation_token(
    api: GithubApi,
    app: App,
    repository: str,
    *,
    write: bool,
    now: float,
    dialer: Dialer,
    tls: ssl.SSLContext,
) -> str:
    """A token for `repository` (its name, without its owner).

    Raises:
        UpstreamError: GitHub can't be reached, or gives none, or gives more than was asked for.
    """
    claims = {"iss": app.app_id, "iat": int(now) - 60, "exp": int(now) + 540}
    signed = jwt.encode({"alg": "RS256"}, claims, RSAKey.import_key(app.private_key))
    wanted = {"contents": "write" if write else "read"}
    body = orjson.dumps({"repositories": [repository], "permissions": wanted})
    path = f"{api.path}/app/installations/{app.installation_id}/access_tokens"
    try:
        async with asyncio.timeout(_SECONDS):
            status, answer = await _post(api, path, signed, body, dialer=dialer, tls=tls)
    except TimeoutError:
        raise UpstreamError("GitHub did not answer in time.", code="upstream_timeout") from None
    if status != 201:
        raise UpstreamError(
            f"GitHub issues no token for this repository ({status}).",
            code="upstream_credential",
            hint="see that the app is installed there, and may read and write contents",
        )
    return _token(answer, repository, wanted)


def _token(answer: bytes, repository: str, wanted: dict[str, str]) -> str:
    """The token of an answer that gives exactly what was asked for."""
    try:
        given = members(orjson.loads(answer))
        permissions, token = members(given["permissions"]), given["token"]
        names = [text(one["name"]) for one in objects(given.get("repositories"))]
    except (ValueError, KeyError):
        raise _unusable("is not what its documentation says") from None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise _unusable("is not what its documentation says")
    if not set(permissions) <= _GIVEN or permissions.get("contents") != wanted["contents"]:
        raise _unusable("gives other permissions than were asked for")
    if [name.lower() for name in names] != [repository.lower()]:
        raise _unusable("is for other repositories than were asked for")
    return token


def _unusable(why: str) -> UpstreamError:
    return UpstreamError(f"GitHub's token {why}; it is not used.", code="upstream_credential")


async def _post(
    api: GithubApi, path: str, signed: str, body: bytes, *, dialer: Dialer, tls: ssl.SSLContext
) -> tuple[int, bytes]:
    try:
        reader, writer, _ = await dialer.connect(api.host, api.port, tls if api.tls else None)
    except (AddressRefused, Unreachable) as failed:
        raise UpstreamError(f"GitHub's API: {failed.reason}.") from None
    server = Http1Connection(h11.CLIENT, reader, writer)
    usual = api.port == (443 if api.tls else 80)
    headers = [
        ("host", api.host.bracketed + ("" if usual else f":{api.port}")),
        ("user-agent", "bailee"),
        ("accept", "application/vnd.github+json"),
        ("x-github-api-version", "2022-11-28"),
        ("authorization", f"Bearer {signed}"),
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("connection", "close"),
    ]
    answer, status = b"", 0
    try:
        await server.send(
            h11.Request(method="POST", target=path, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        while True:
            event = await server.next()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                answer += event.data
                if len(answer) > _LONGEST:
                    raise UpstreamError("GitHub's answer is over the limit.")
            elif isinstance(event, h11.EndOfMessage):
                return status, answer
            elif not isinstance(event, h11.InformationalResponse):
                raise UpstreamError("GitHub's answer broke off.", code="upstream_closed")
    except (h11.ProtocolError, OSError):
        raise UpstreamError("GitHub's answer broke off.", code="upstream_closed") from None
    finally:
        writer.close()
