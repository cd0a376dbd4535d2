"""How the gateway leaves the network it is in: its settings as an `outbound` network. Pure.

It holds for the upstreams and for the calls that fetch their credentials.

Rules kept here:

* A proxy is asked for tunnels to `https://` addresses and for nothing else: no prompt and no
  credential passes it that it could read. `http://` addresses are reached straight.
* `NO_PROXY` of the environment excepts names, domains and networks, whoever named the proxy.
* A proxy's user and password come from the environment; no repr, error or log holds them.

Rows: D1, D2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from bailee.errors import InputError
from bailee.outbound.network import Network
from bailee.outbound.proxies import read_proxy

_FILES: Final = {
    "NODE_EXTRA_CA_CERTS": "upstream.ca_file",
    "BAILEE_CLIENT_CERT": "upstream.client_cert",
    "BAILEE_CLIENT_KEY": "upstream.client_key",
    "BAILEE_CLIENT_KEY_PASSPHRASE": "upstream.client_key_passphrase_env",
}
_CALLED: Final = {**_FILES, "HTTPS_PROXY": "HTTPS_PROXY or ALL_PROXY"}


def way_out(
    *,
    ca_file: Path | None = None,
    client_cert: Path | None = None,
    client_key: Path | None = None,
    passphrase: str = "",
    proxies: Mapping[str, str] | None = None,
) -> Network:
    """The network of some settings. PEM files: `ca_file` is trusted besides the system's
    authorities; `client_cert` holds a certificate with its chain, and its key unless `client_key`
    does. `proxies`: as `proxy_variables` gives them.
    """
    given = zip(_FILES, (ca_file, client_cert, client_key, passphrase), strict=True)
    files = {name: str(value) for name, value in given if value}
    return Network({**files, **(proxies or {})}, _CALLED)


def proxy_variables(
    setting: str, login: str | None, environment: Mapping[str, str]
) -> dict[str, str]:
    """What decides about proxies: `setting` is `env`, `off` or an address; `login` is the
    `user:password` for that address.

    Raises:
        InputError: code `configuration`; the setting is none of these, or holds a password.
    """
    if setting == "off":
        return {}
    excepted = {n: environment[n] for n in ("NO_PROXY", "no_proxy") if environment.get(n)}
    if setting == "env":
        if login is not None:
            raise _wrong("upstream.proxy_login_env needs an address in upstream.proxy.")
        names = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
        found = next((environment[name] for name in names if environment.get(name)), None)
        return {**({} if found is None else {"HTTPS_PROXY": found}), **excepted}
    if "@" in setting:
        raise _wrong("upstream.proxy holds a user or password, which are not for a settings file.")
    try:
        proxy = read_proxy(setting, "upstream.proxy")
    except InputError as error:
        raise _wrong(error.message) from None
    if login is not None:
        user, separator, password = login.partition(":")
        if not separator or not user:
            raise _wrong("What upstream.proxy_login_env names does not hold user:password.")
        proxy = replace(proxy, user=user, password=password)
    return {"HTTPS_PROXY": proxy.url, **excepted}


def _wrong(message: str) -> InputError:
    return InputError(
        message,
        code="configuration",
        hint="upstream.proxy is env, off or like http://proxy.example:3128; its user:password is in"
        " the environment variable that upstream.proxy_login_env names",
    )
