"""Reaching a server from a corporate network: the one way in which anything of ours asks over HTTP.

Rules kept here:

* The proxy comes from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (`proxies.py`); a
  user and a password in its address authenticate to it. Loopback is never reached by a proxy.
* Certificates that are trusted: those of the operating system, and those of `SSL_CERT_FILE`,
  `SSL_CERT_DIR`, `NODE_EXTRA_CA_CERTS` besides. A file that can't be read is an error, not a shrug.
* A client certificate: `BAILEE_CLIENT_CERT`, `BAILEE_CLIENT_KEY`, `BAILEE_CLIENT_KEY_PASSPHRASE`
  (or `CLAUDE_CODE_CLIENT_…`, as Claude Code names them). Nothing asks at a terminal.
* Plain HTTP to anywhere but loopback is refused. Redirects are not followed, ~/.netrc is not read:
  what is sent goes where it was meant to go, and nothing is added.
* An answer has a largest size, unpacked, and a time in all: who sends a byte now and then can't
  hold a thread.

The gateway's connections to its upstreams are its own; proxy and TLS are from here.

Rows: D1, D2.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final, TypedDict
from urllib.parse import urlsplit

from bailee import __version__
from bailee.errors import InputError
from bailee.loopback import is_loopback
from bailee.outbound.addresses import keeps_credentials
from bailee.outbound.proxies import Proxy, proxy_for
from bailee.records import dataclass

if TYPE_CHECKING:
    import httpx2

    from bailee.outbound.straight import StraightConnection

SECONDS: Final = 20.0
LARGEST: Final = 10_000_000
USER_AGENT: Final = f"bailee/{__version__}"
# The variables whose values a connection is made with.
VARIABLES: Final = (
    *("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"),
    *("NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
    *("BAILEE_CLIENT_CERT", "BAILEE_CLIENT_KEY", "BAILEE_CLIENT_KEY_PASSPHRASE"),
    *("CLAUDE_CODE_CLIENT_CERT", "CLAUDE_CODE_CLIENT_KEY", "CLAUDE_CODE_CLIENT_KEY_PASSPHRASE"),
)


class NoAnswer(Exception):
    """There was no answer, or none that could be taken whole. The text is its kind, in a word."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A server's answer, whatever its status. Names of `headers` are in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def good(self) -> bool:
        """Whether the status says that it is what was asked for."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """PEM files: a certificate with its chain, and its key unless `key` has it. `variable` names
    the certificate.
    """

    variable: str
    file: str
    key: str | None
    passphrase: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Network:
    """How to get out: values of the variables that the module names. `called` says how one of them
    is called where it was set, if otherwise. Whoever asks makes one; it holds no connection, and
    may be used from any thread.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    called: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Network:
        """The one that an environment describes, as it is now."""
        return cls({name: environment[name] for name in VARIABLES if environment.get(name)})

    @property
    def client_certificate(self) -> ClientCertificate | None:
        """What we show to a server that wants to know us.

        Raises:
            InputError: code `configuration`; there is a key, and no certificate.
        """
        for prefix in ("BAILEE_CLIENT", "CLAUDE_CODE_CLIENT"):
            file, key = (self.variables.get(f"{prefix}_{what}") for what in ("CERT", "KEY"))
            if file:
                secret = self.variables.get(f"{prefix}_KEY_PASSPHRASE", "")
                return ClientCertificate(f"{prefix}_CERT", file, key or None, secret)
            if key:
                raise InputError(
                    f"{self._called(f'{prefix}_KEY')} has no certificate.",
                    code="configuration",
                    hint=f"set {self._called(f'{prefix}_CERT')} too",
                )
        return None

    def tls(self) -> ssl.SSLContext:
        """The TLS context.

        Raises:
            InputError: code `configuration`; a certificate or key can't be used.
        """
        variable = "the system's certificates"
        shown = self.client_certificate
        try:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
            for variable in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
                if file := self.variables.get(variable):
                    context.load_verify_locations(cafile=file)
            variable = "SSL_CERT_DIR"
            if folder := self.variables.get(variable):
                context.load_verify_locations(capath=folder)
            if shown is not None:
                variable = shown.variable
                # Without a function OpenSSL would ask at the terminal.
                context.load_cert_chain(shown.file, shown.key, lambda: shown.passphrase)
        except (OSError, ssl.SSLError) as error:
            why = getattr(error, "strerror", None) or "not a certificate, or not its key"
            passphrase = self._called(f"{variable.removesuffix('_CERT')}_KEY_PASSPHRASE")
            raise InputError(
                f"What {self._called(variable)} names can't be used ({why}).",
                code="configuration",
                hint="give PEM files that you may read and that belong together"
                + ("" if shown is None else f"; a key with a passphrase needs {passphrase}"),
            ) from None
        return context

    def proxy(self, address: str) -> Proxy | None:
        """The proxy on the way to an address; None: straight there.

        Raises:
            InputError: code `configuration`; what is named is no proxy.
        """
        return proxy_for(address, self.variables, self.called)

    def ask(
        self,
        method: str,
        address: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        what: str = "BAILEE_URL",
        seconds: float = SECONDS,
        largest: int = LARGEST,
        metadata: bool = False,
    ) -> HttpResponse:
        """Ask once, and read the whole answer. `what` names the address in an error; `seconds` are
        those of all of it; `largest`: bytes of the answer, unpacked; `metadata`: it may also be
        where a cloud's machine keeps its credentials, which has no TLS. Blocks: for a thread that
        has no event loop.

        Raises:
            InputError: code `configuration`; plain HTTP to elsewhere, or settings that can't be.
            NoAnswer: there is none, not in time, or it is larger.
        """
        import asyncio

        import httpx2

        async def asked() -> HttpResponse:
            body = b""
            async with (
                asyncio.timeout(seconds),
                httpx2.AsyncClient(**options, timeout=seconds) as client,
                client.stream(method, address, content=content, headers=headers) as answer,
            ):
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > largest:
                        raise NoAnswer("TooLarge")
            return HttpResponse(answer.status_code, dict(answer.headers), body)

        if not (metadata and keeps_credentials(urlsplit(address).hostname or "")):
            checked(address, what)
        options = self._options(address)
        try:
            return asyncio.run(asked())
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:  # a time-out is one
            raise NoAnswer(type(error).__name__) from None

    def client(self, address: str, what: str, seconds: float) -> httpx2.Client:
        """An HTTP client for one address, for answers that are read as they come. `seconds`: how
        long the server may be silent.

        Raises:
            InputError: code `configuration`; plain HTTP to elsewhere, or settings that can't be.
        """
        import httpx2

        checked(address, what)
        timeout = httpx2.Timeout(seconds, connect=SECONDS)
        return httpx2.Client(**self._options(address), timeout=timeout)

    def async_client(
        self,
        address: str,
        what: str,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> httpx2.AsyncClient:
        """The same for use in an event loop; `what` names the address in an error. `headers` go
        along with each request; `seconds`: how long the server may be silent, None: for ever.
        """
        import httpx2

        checked(address, what)
        timeout = httpx2.Timeout(seconds, connect=SECONDS)
        made = httpx2.AsyncClient(**self._options(address), timeout=timeout)
        made.headers.update(headers or {})
        return made

    def straight(self, address: str, what: str, seconds: float) -> StraightConnection | None:
        """The same where no proxy is on the way, without the library that `async_client` needs:
        for what a person waits for. None: there is one, or the address is not a plain one.

        Raises:
            InputError: code `configuration`; plain HTTP to elsewhere, or settings that can't be.
        """
        from bailee.outbound.straight import StraightConnection, is_plain

        checked(address, what)
        if self.proxy(address) is not None or not is_plain(address):
            return None
        return StraightConnection(address, self.tls, connecting=SECONDS, silence=seconds)

    def _options(self, address: str) -> _Options:
        import httpx2

        proxy = self.proxy(address)
        spoken = address.startswith("https:") or (proxy is not None and proxy.tls)
        # Reading every authority takes a moment; where no TLS is spoken nobody is trusted.
        tls = self.tls() if spoken else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        by = None
        if proxy is not None:
            outer = tls if proxy.tls else None
            by = httpx2.Proxy(proxy.address, ssl_context=outer, headers=proxy.fields)
        return {
            "verify": tls,
            "proxy": by,
            "trust_env": False,
            "follow_redirects": False,
            "headers": {"user-agent": USER_AGENT},
        }

    def _called(self, variable: str) -> str:
        return self.called.get(variable, variable)


class _Options(TypedDict):
    verify: ssl.SSLContext
    proxy: httpx2.Proxy | None
    trust_env: bool
    follow_redirects: bool
    headers: dict[str, str]


def checked(address: str, variable: str = "BAILEE_URL") -> None:
    """Refuse what is no address, and plain HTTP to anywhere but loopback. `variable`: its name."""
    try:
        parts = urlsplit(address)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise InputError(
            f"{variable} is not an address.", code="configuration", hint="like https://host:port"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise InputError(
            "Nothing is sent over plain HTTP to another machine.",
            code="configuration",
            hint="begin the address with https://",
        )
