"""Reaching a server from a corporate network.

Rules kept here:

* The proxy comes from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (small letters too);
  a user and a password in its address authenticate to it. Loopback is never reached by a proxy.
* Certificates that are trusted: those of the operating system, and those of `SSL_CERT_FILE`,
  `SSL_CERT_DIR`, `NODE_EXTRA_CA_CERTS` besides. A file that can't be read is an error, not a shrug.
* A client certificate: `BAILEE_CLIENT_CERT`, `BAILEE_CLIENT_KEY`, `BAILEE_CLIENT_KEY_PASSPHRASE`
  (or `CLAUDE_CODE_CLIENT_…`, as Claude Code names them).
* Plain HTTP to anywhere but loopback is refused. Redirects are not followed.

Rows: D1, D2.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bailee import __version__
from bailee.errors import InputError
from bailee.loopback import is_loopback

if TYPE_CHECKING:
    import httpx2

SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Network:
    """How to get out: values of the variables that the module names."""

    variables: Mapping[str, str]

    def tls(self) -> ssl.SSLContext:
        """The TLS context.

        Raises:
            InputError: code `configuration`; a certificate or key can't be used.
        """
        variable = "the system's certificates"
        try:
            context = ssl.create_default_context()
            for variable in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
                if file := self.variables.get(variable):
                    context.load_verify_locations(cafile=file)
            variable = "SSL_CERT_DIR"
            if folder := self.variables.get(variable):
                context.load_verify_locations(capath=folder)
            for prefix in ("BAILEE_CLIENT", "CLAUDE_CODE_CLIENT"):
                variable = f"{prefix}_CERT"
                if certificate := self.variables.get(variable):
                    key = self.variables.get(f"{prefix}_KEY")
                    secret = self.variables.get(f"{prefix}_KEY_PASSPHRASE", "")
                    context.load_cert_chain(certificate, key, lambda s=secret: s)
                    break
        except (OSError, ssl.SSLError) as error:
            why = getattr(error, "strerror", None) or "not a certificate, or not its key"
            raise InputError(
                f"What {variable} names can't be used ({why}).",
                code="configuration",
                hint="give a PEM file that you may read",
            ) from None
        return context

    def proxy(self, address: str) -> str | None:
        """The proxy on the way to an address; None: straight there.

        Raises:
            InputError: code `configuration`; what is named is no proxy.
        """
        parts = urlsplit(address)
        host = parts.hostname or ""
        if is_loopback(host) or self._excepted(host, parts.port):
            return None
        wanted = ("HTTPS_PROXY",) if parts.scheme == "https" else ("HTTP_PROXY",)
        for name in (*wanted, "ALL_PROXY"):
            found = self.variables.get(name.lower()) or self.variables.get(name)
            if found:
                proxy = found if "://" in found else f"http://{found}"
                if urlsplit(proxy).scheme not in ("http", "https") or not urlsplit(proxy).hostname:
                    raise InputError(
                        f"{name} is not the address of an HTTP proxy.",
                        code="configuration",
                        hint=f"like {name}=http://user:password@proxy.example:3128",
                    )
                return proxy
        return None

    def client(self, address: str) -> httpx2.Client:
        """An HTTP client for one address.

        Raises:
            InputError: code `configuration`; plain HTTP to elsewhere, or settings that can't be.
        """
        import httpx2

        return httpx2.Client(**self._options(address, "BAILEE_URL"), timeout=SECONDS)

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

        made = httpx2.AsyncClient(
            **self._options(address, what), timeout=httpx2.Timeout(seconds, connect=SECONDS)
        )
        made.headers.update(headers or {})
        return made

    def _options(self, address: str, what: str) -> dict[str, Any]:
        import httpx2

        checked(address, what)
        tls = self.tls()
        proxy = self.proxy(address)
        return {
            "verify": tls,
            "proxy": None
            if proxy is None
            else httpx2.Proxy(proxy, ssl_context=_proxy_tls(proxy, tls)),
            "trust_env": False,
            "follow_redirects": False,
            "headers": {"user-agent": f"bailee/{__version__}"},
        }

    def _excepted(self, host: str, port: int | None) -> bool:
        text = self.variables.get("no_proxy") or self.variables.get("NO_PROXY") or ""
        for entry in text.replace(",", " ").split():
            name, _, wanted = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
            if wanted and wanted != str(port):
                continue
            name = name.removeprefix("*").removeprefix(".").strip("[]").lower()
            if not name:
                if entry == "*":
                    return True
                continue
            if host == name or host.endswith(f".{name}") or _in_network(host, name):
                return True
        return False


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


def _proxy_tls(proxy: str, tls: ssl.SSLContext) -> ssl.SSLContext | None:
    return tls if proxy.startswith("https:") else None


def _in_network(host: str, name: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False
