"""How the gateway's own calls leave the network it is in: proxy, authorities, client certificate.

It holds for the upstreams and for the calls that fetch their credentials.

Rules kept here:

* A proxy is asked for tunnels to `https://` addresses and for nothing else: no prompt and no
  credential passes it that it could read. `http://` addresses are reached straight, and so are
  loopback, link-local addresses and Google's metadata name, where machines keep credentials.
* `NO_PROXY` of the environment excepts names, domains and networks, whoever named the proxy.
* A proxy's user and password come from the environment; no repr, error or log holds them.
* Certificates are always checked, TLS is 1.2 at least, and nothing asks at a terminal.

Rows: D1, D2.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from bailee.client.network import Network
from bailee.errors import InputError
from bailee.outbound.addresses import keeps_credentials

_OF_THE_ENVIRONMENT: Final = ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, spoken to under TLS or not. `authorization` is the value of its header, or
    empty.
    """

    host: str
    port: int
    tls: bool = False
    authorization: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class WayOut:
    """See the module. PEM files: `ca_file` is trusted besides the system's authorities;
    `client_cert` holds a certificate with its chain, and its key unless `client_key` does.
    `variables` are the proxy's, as `proxy_variables` gives them.
    """

    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    passphrase: str = field(default="", repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def tls(self) -> ssl.SSLContext:
        """A context for connections out. `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured.

        Raises:
            InputError: code `configuration`; a file can't be read, or does not fit.
        """
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            what = "CA file"
            if self.ca_file is not None:
                context.load_verify_locations(self.ca_file)
            what = "client certificate"
            if self.client_cert is not None:
                # Without a function OpenSSL would ask at the terminal, and the start would hang.
                context.load_cert_chain(self.client_cert, self.client_key, lambda: self.passphrase)
        except (OSError, ssl.SSLError):
            raise InputError(
                f"The {what} for the upstreams can't be used.",
                code="configuration",
                hint="give PEM files that belong together and are readable by this user; a key with"
                " a passphrase needs upstream.client_key_passphrase_env",
            ) from None
        if self.client_cert is None and self.client_key is not None:
            raise InputError(
                "The upstreams' client key has no certificate.",
                code="configuration",
                hint="set upstream.client_cert too",
            )
        return context

    def proxy_url(self, url: str) -> str | None:
        """The proxy on the way to `url` as an address, with user and password; None: none.

        Raises:
            InputError: code `configuration`; what is named is no HTTP proxy.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or keeps_credentials(parts.hostname or ""):
            return None
        found = Network(self.variables).proxy(url)
        if found is not None:
            _read(found)
        return found

    def proxy(self, url: str) -> Proxy | None:
        """The proxy on the way to `url`; None: straight there.

        Raises:
            InputError: as `proxy_url`.
        """
        found = self.proxy_url(url)
        return None if found is None else _read(found)


def proxy_variables(
    setting: str, login: str | None, environment: Mapping[str, str]
) -> dict[str, str]:
    """What decides about proxies: `setting` is `env`, `off` or an address; `login` is the
    `user:password` for that address. Pure.

    Raises:
        InputError: code `configuration`; the setting is none of these, or holds a password.
    """
    if setting == "off":
        return {}
    named = {
        spelt: environment[spelt]
        for name in _OF_THE_ENVIRONMENT
        for spelt in (name, name.lower())
        if environment.get(spelt)
    }
    if setting == "env":
        if login is not None:
            raise _wrong("upstream.proxy_login_env needs an address in upstream.proxy.")
        return named
    if "@" in setting:
        raise _wrong("upstream.proxy holds a user or password, which are not for a settings file.")
    address = setting if "://" in setting else f"http://{setting}"
    if login is not None:
        user, separator, password = login.partition(":")
        if not separator or not user:
            raise _wrong("What upstream.proxy_login_env names does not hold user:password.")
        scheme, _, rest = address.partition("://")
        address = f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"
    _read(address)
    excepted = {name: value for name, value in named.items() if name.upper() == "NO_PROXY"}
    return {"HTTPS_PROXY": address, **excepted}


def _read(address: str) -> Proxy:
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = 0
    host = parts.hostname
    fine = parts.scheme in ("http", "https") and parts.path in ("", "/") and not parts.query
    if not host or port == 0 or not fine or not host.isascii() or not host.isprintable():
        raise _wrong("The proxy on the way to the upstreams is not an HTTP proxy's address.")
    tls = parts.scheme == "https"
    authorization = b""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        authorization = b"Basic " + base64.b64encode(pair)
    return Proxy(host, port or (443 if tls else 80), tls, authorization)


def _wrong(message: str) -> InputError:
    return InputError(
        message,
        code="configuration",
        hint="upstream.proxy is env, off or like http://proxy.example:3128; its user:password is in"
        " the environment variable that upstream.proxy_login_env names",
    )
