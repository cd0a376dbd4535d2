"""What the gateway proves itself with to an upstream, in place of the client's credentials.

Rules kept here: a credential is read from where its own SDK reads it, is never logged, and never
reaches a client; fetching or refreshing one never blocks the event loop.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Protocol
from urllib.parse import urlsplit

from bailee.errors import InputError, UpstreamError

Lines = bytes  # complete header lines, each ending in CRLF


class Credential(Protocol):
    """Proves the gateway to an upstream.

    `fixed` are the header lines when they are the same for every request, else None; `needs_body`
    whether a request must be there whole to be signed; `replaces` the client's header names
    (lower case) that a signature would contradict.
    """

    fixed: Lines | None
    needs_body: bool
    replaces: frozenset[bytes]

    async def lines(self, method: str, url: str, body: bytes) -> Lines:
        """The header lines for one request.

        Raises:
            UpstreamError: there is no credential, or it could not be had.
        """
        ...


class NoCredential:
    """For an upstream that asks for none: an embedded model, a stub."""

    fixed: Lines | None = b""
    needs_body = False
    replaces: frozenset[bytes] = frozenset()

    async def lines(self, method: str, url: str, body: bytes) -> Lines:  # noqa: ARG002
        """See `Credential.lines`."""
        return b""


class ApiKey:
    """A fixed key, sent as `x-api-key` or as `Authorization: Bearer`."""

    needs_body = False
    replaces: frozenset[bytes] = frozenset()

    def __init__(self, key: str, *, bearer: bool = False) -> None:
        if not key or not key.isascii() or not key.isprintable():
            raise InputError(
                "The upstream's key is empty or not printable ASCII.",
                code="configuration",
                hint="check the environment variable that holds it",
            )
        name = "Authorization: Bearer" if bearer else "x-api-key:"
        self.fixed: Lines | None = f"{name} {key}\r\n".encode("ascii")

    async def lines(self, method: str, url: str, body: bytes) -> Lines:  # noqa: ARG002
        """See `Credential.lines`."""
        return self.fixed or b""


class Bedrock:
    """AWS's standard credential chain, signing with Signature Version 4.

    `AWS_BEARER_TOKEN_BEDROCK`, when set, is sent instead of a signature, as the SDKs do.
    """

    replaces = frozenset(
        {b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256", b"amz-sdk-request"}
    )

    def __init__(self, region: str | None = None) -> None:
        token = os.environ.get("AWS_BEARER_TOKEN_BEDROCK")
        self.fixed: Lines | None = None
        if token:
            self.fixed = ApiKey(token, bearer=True).fixed
        self.needs_body = self.fixed is None
        self._region = region
        self._session: Any = None

    async def lines(self, method: str, url: str, body: bytes) -> Lines:
        """See `Credential.lines`."""
        if self.fixed is not None:
            return self.fixed
        # Credentials may come from a file, a process or a metadata service.
        return await asyncio.get_running_loop().run_in_executor(None, self._sign, method, url, body)

    def _sign(self, method: str, url: str, body: bytes) -> Lines:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session

        try:
            if self._session is None:
                self._session = Session()
            found = self._session.get_credentials()
            region = (
                self._region
                or os.environ.get("AWS_REGION")  # which botocore alone of the SDKs doesn't read
                or self._session.get_config_variable("region")
            )
            if found is None or region is None:
                raise UpstreamError(
                    "No AWS credential or region was found.",
                    code="upstream_credential",
                    hint="set AWS_REGION and the variables or profile that the AWS SDK reads",
                )
            request = AWSRequest(method=method, url=url, data=body)
            SigV4Auth(found.get_frozen_credentials(), "bedrock", region).add_auth(request)
        except BotoCoreError:
            raise UpstreamError(
                "The AWS credential could not be had.", code="upstream_credential"
            ) from None
        wanted = ("x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "authorization")
        return b"".join(
            f"{name}: {value}\r\n".encode("latin-1")
            for name, value in request.headers.items()
            if name.lower() in wanted
        )


class Vertex:
    """Google's application default credentials, refreshed before they expire."""

    fixed: Lines | None = None
    needs_body = False
    replaces: frozenset[bytes] = frozenset()

    def __init__(self) -> None:
        self._credentials: Any = None
        self._refreshing = asyncio.Lock()

    async def lines(self, method: str, url: str, body: bytes) -> Lines:  # noqa: ARG002
        """See `Credential.lines`."""
        async with self._refreshing:
            if self._credentials is None or not self._credentials.valid:
                await asyncio.get_running_loop().run_in_executor(None, self._refresh)
        token: str = self._credentials.token
        return b"Authorization: Bearer " + token.encode("ascii") + b"\r\n"

    def _refresh(self) -> None:
        import google.auth
        import google.auth.exceptions
        import google.auth.transport.requests

        try:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(
                    scopes=["https://www.googleapis.com/auth/cloud-platform"]
                )
            self._credentials.refresh(google.auth.transport.requests.Request())
        except google.auth.exceptions.GoogleAuthError:
            raise UpstreamError(
                "The Google credential could not be had.",
                code="upstream_credential",
                hint="set GOOGLE_APPLICATION_CREDENTIALS, or log in with gcloud",
            ) from None


def default_url(channel: str, region: str | None = None) -> str:
    """The address of a cloud's model service, in `region` or the one its own SDK would use.

    Raises:
        InputError: no region is set.
    """
    if channel == "bedrock":
        region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if region:
            return f"https://bedrock-runtime.{region}.amazonaws.com"
        raise InputError(
            "No AWS region is set.",
            code="configuration",
            hint="set AWS_REGION or the upstream's URL",
        )
    region = region or os.environ.get("CLOUD_ML_REGION")
    if region:
        host = "aiplatform" if region == "global" else f"{region}-aiplatform"
        return f"https://{host}.googleapis.com"  # clients begin their paths with /v1
    raise InputError(
        "No Google Cloud region is set.",
        code="configuration",
        hint="set CLOUD_ML_REGION or the upstream's URL",
    )


def split_url(url: str) -> tuple[bool, str, int, str]:
    """(TLS, host, port, path without a final slash) of an upstream's URL.

    Raises:
        InputError: it is not an http or https URL, or carries a user, query or fragment.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or port == -1
        or parts.query
        or parts.fragment
        or parts.username is not None
        or not url.isascii()
        or any(c.isspace() or not c.isprintable() for c in url)
    ):
        raise InputError(
            "The upstream is not a plain http or https URL.",
            code="configuration",
            hint="write it like https://api.example.com",
        )
    tls = parts.scheme == "https"
    return tls, parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/")
