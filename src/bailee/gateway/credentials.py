"""What the gateway proves itself with to an upstream, in place of the client's credentials.

Rules kept here: a credential is read from where its own SDK reads it, is never logged, and never
reaches a client; fetching or refreshing one never blocks the event loop, takes the way out that the
upstreams take, and follows no redirect.
"""

from __future__ import annotations

import asyncio
import logging
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from bailee.errors import InputError, UpstreamError
from bailee.outbound.google import GoogleCredential, NoGoogleCredential
from bailee.outbound.network import Network

if TYPE_CHECKING:
    from botocore.session import Session

Lines = bytes  # complete header lines, each ending in CRLF


class Credential(Protocol):
    """Proves the gateway to an upstream. The upstream's pool has one; a carrier asks it on the
    gateway's loop, several at once. It must not block that: what waits does so on another thread.

    `fixed` are the header lines when they are the same for every request, else None; `needs_body`
    whether a request must be there whole to be signed; `replaces` the client's header names (lower
    case) that a signature would contradict.
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


class KeyForm(StrEnum):
    """How a service takes a fixed key."""

    X_API_KEY = "x-api-key:"  # the Messages API
    BEARER = "Authorization: Bearer"  # OpenAI's, and Bedrock's keys
    X_GOOG_API_KEY = "x-goog-api-key:"  # the Gemini API
    API_KEY = "api-key:"  # Azure


# A client does not name who pays for the operator's key, nor in which of their projects it is used.
_PAYERS: Final = {
    KeyForm.BEARER: frozenset({b"openai-organization", b"openai-project"}),
    KeyForm.X_GOOG_API_KEY: frozenset({b"x-goog-user-project"}),
}


class FixedKey:
    """A fixed key, sent in one form."""

    needs_body = False

    def __init__(self, key: str, form: KeyForm = KeyForm.X_API_KEY) -> None:
        if not key or not key.isascii() or not key.isprintable():
            raise InputError(
                "The upstream's key is empty or not printable ASCII.",
                code="configuration",
                hint="check the environment variable that holds it",
            )
        self.fixed: Lines | None = f"{form.value} {key}\r\n".encode("ascii")
        self.replaces: frozenset[bytes] = _PAYERS.get(form, frozenset())

    async def lines(self, method: str, url: str, body: bytes) -> Lines:  # noqa: ARG002
        """See `Credential.lines`."""
        return self.fixed or b""


class Bedrock:
    """AWS's standard credential chain, signing with Signature Version 4.

    `lines` is called on the gateway's loop, and signs on the loop's executor, where the chain may
    ask for credentials. `AWS_BEARER_TOKEN_BEDROCK`, when set, is sent instead of a signature, as
    the SDKs do.
    """

    replaces = frozenset(
        {b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256", b"amz-sdk-request"}
    )

    def __init__(self, region: str | None = None, way_out: Network | None = None) -> None:
        token = os.environ.get("AWS_BEARER_TOKEN_BEDROCK")
        self.fixed: Lines | None = None
        if token:
            self.fixed = FixedKey(token, KeyForm.BEARER).fixed
        self.needs_body = self.fixed is None
        self._region = region
        self._way_out = way_out or Network()
        self._session: Session | None = None
        self._authorities: int | None = None  # a file in memory

    async def lines(self, method: str, url: str, body: bytes) -> Lines:
        """See `Credential.lines`."""
        if self.fixed is not None:
            return self.fixed
        # Credentials may come from a file, a process or a metadata service.
        return await asyncio.get_running_loop().run_in_executor(None, self._sign, method, url, body)

    def _sign(self, method: str, url: str, body: bytes) -> Lines:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._session is None:
                self._session = self._new_session()
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
        except (BotoCoreError, ClientError):
            raise UpstreamError(
                "The AWS credential could not be obtained.",
                code="upstream_credential",
                hint="whoever runs this gateway: `aws sts get-caller-identity` says more",
            ) from None
        wanted = ("x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "authorization")
        return b"".join(
            f"{name}: {value}\r\n".encode("latin-1")
            for name, value in request.headers.items()
            if name.lower() in wanted
        )

    def _new_session(self) -> Session:
        """A session whose calls to AWS (STS, SSO) take the way out. What it asks a machine or
        container for, at a link-local address, is botocore's own to reach.
        """
        from botocore.config import Config
        from botocore.httpsession import get_cert_path
        from botocore.session import Session

        # Its warnings hold what AWS answered, credentials too when they can't be read.
        logging.getLogger("botocore").setLevel(logging.CRITICAL)
        way, session = self._way_out, Session()
        region = self._region or os.environ.get("AWS_REGION") or "us-east-1"
        # botocore takes one proxy for all hosts; what NO_PROXY says is asked for the one of tokens.
        proxy = way.proxy(f"https://sts.{region}.amazonaws.com")
        options: dict[str, object] = {"proxies": {} if proxy is None else {"https": proxy.url}}
        shown = way.client_certificate
        if shown is not None and not shown.passphrase:  # it would ask at the terminal
            pair = (shown.file, shown.key)
            options["client_cert"] = shown.file if shown.key is None else pair
        ca_file = way.variables.get("NODE_EXTRA_CA_CERTS")
        if ca_file is not None and session.get_config_variable("ca_bundle") is None:
            self._authorities = _in_memory(Path(get_cert_path(True)), Path(ca_file))
            bundle = f"/proc/self/fd/{self._authorities}"
            session.set_config_variable("ca_bundle", bundle)
            options["proxies_config"] = {"proxy_ca_bundle": bundle}
        session.set_default_client_config(Config(**options))
        return session


def _in_memory(*files: Path) -> int:
    """The files, one after another, as a descriptor of a file in memory: botocore takes a path."""
    made = os.memfd_create("authorities")
    with open(made, "wb", closefd=False) as bundle:
        for file in files:
            bundle.write(file.read_bytes() + b"\n")
    return made


class Vertex:
    """Google's application default credentials, refreshed before they expire.

    `lines` is called on the gateway's loop; of those that find no valid token one refreshes it, on
    the loop's executor. A client does not name who pays for the operator's quota, nor brings a key
    beside the token.
    """

    fixed: Lines | None = None
    needs_body = False
    replaces: frozenset[bytes] = frozenset({b"x-goog-api-key", b"x-goog-user-project"})

    def __init__(self, way_out: Network | None = None) -> None:
        self._credential = GoogleCredential(way_out or Network())
        self._refreshing = asyncio.Lock()

    async def lines(self, method: str, url: str, body: bytes) -> Lines:  # noqa: ARG002
        """See `Credential.lines`."""
        async with self._refreshing:
            token = self._credential.held
            if token is None:
                token = await asyncio.get_running_loop().run_in_executor(None, self._token)
        return b"Authorization: Bearer " + token.encode("ascii") + b"\r\n"

    def _token(self) -> str:
        try:
            return self._credential.token()
        except NoGoogleCredential:
            raise UpstreamError(
                "The Google credential could not be obtained.",
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
