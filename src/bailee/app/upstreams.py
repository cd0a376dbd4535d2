"""The services that models are behind, as the settings say: an upstream for each channel, and
further ones among which the policy chooses.

Rules kept here:

* A channel that the policy document does not name has no upstream: nothing could say on what terms
  its conversations are kept. One that is set nevertheless stops the start.
* OpenAI's and Google's APIs at `upstream.url`, where nothing else is set: its key is then sent in
  the form of the API that was asked.
* A key is read from the environment variable that a setting names, and stands in no file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bailee.config import Settings
from bailee.errors import InputError
from bailee.gateway.credentials import (
    Bedrock,
    Credential,
    FixedKey,
    KeyForm,
    NoCredential,
    Vertex,
    default_url,
)
from bailee.gateway.routes import CHANNELS
from bailee.gateway.settings import Upstream, check_upstream
from bailee.gateway.way_out import proxy_variables, way_out
from bailee.outbound.network import Network
from bailee.policy import Policy
from bailee.policy.choosing import DeclaredUpstream
from bailee.policy.declaring import FurtherUpstream
from bailee.policy.reaching import DeclaredTerms, UpstreamTerms
from bailee.usage.models import model_of


@dataclass(frozen=True, slots=True)
class _Service:
    """A service that takes a fixed key: in which form, what `auto` is, and how its paths begin,
    which is no part of its address. `fallback`: it may be what `upstream.url` is.
    """

    form: KeyForm
    auto: str | None
    begins: tuple[str, ...]
    fallback: bool = False


_SERVICES: Final = {
    "openai": _Service(KeyForm.BEARER, "https://api.openai.com", ("v1",), fallback=True),
    "google": _Service(
        KeyForm.X_GOOG_API_KEY,
        "https://generativelanguage.googleapis.com",
        ("v1", "v1alpha", "v1beta"),
        fallback=True,
    ),
    "azure": _Service(KeyForm.API_KEY, None, ("v1", "openai")),
    "foundry": _Service(KeyForm.X_API_KEY, None, ("v1",)),
}


def upstreams(settings: Settings, policy: Policy) -> dict[str, Upstream]:
    """The upstreams by channel; `api` is missing while the model is the embedded one.

    Raises:
        InputError: code `configuration`.
    """
    out = _way_out(settings)
    named = policy.document.labels["channel"]
    made: dict[str, Upstream | None] = {
        "api": _first(settings, out, KeyForm.X_API_KEY),
        "bedrock": _bedrock(settings, out),
        "vertex": _vertex(settings, out),
    }
    for channel, service in _SERVICES.items():
        made[channel] = _service(settings, out, channel, service)
    for channel, one in made.items():
        if one is not None and channel not in named and settings.text(_url(channel)):
            raise InputError(
                f"The policy document has no channel {channel!r}, and {_url(channel)} is set.",
                code="configuration",
                hint=f"add it under [channels], with clauses for it, or take {_url(channel)} out",
            )
    return {
        channel: replace(one, name=_table(channel))
        for channel, one in made.items()
        if one is not None and channel in named
    }


def declared_terms(settings: Settings) -> dict[str, UpstreamTerms]:
    """What the upstreams declare, by channel; a channel that is missing has declared nothing. The
    embedded model is this process: it keeps nothing. Terms are those of the address that stands
    beside them in `bailee.toml`: where another one was given, nothing is declared.
    """
    own = UpstreamTerms(DeclaredTerms(retains=False, trains=False))
    local = settings.text("upstream.url") is None
    found: dict[str, UpstreamTerms] = {}
    for channel in CHANNELS:
        table = _table(channel)
        if table != "upstream" and settings.text(_url(channel)) is None:
            if (service := _SERVICES.get(channel)) is None or not service.fallback:
                continue
            table = "upstream"  # where its requests go
        if table == "upstream" and local:
            found[channel] = own
        elif (terms := settings.terms_in_force(table)) is not None:
            found[channel] = normal(terms)
    return found


def declared_upstreams(settings: Settings) -> dict[str, tuple[DeclaredUpstream, ...]]:
    """The upstreams among which the policy chooses, by channel, the first first."""
    terms = declared_terms(settings)
    found = {
        channel: [DeclaredUpstream(_table(channel), terms.get(channel, UpstreamTerms()))]
        for channel in CHANNELS
    }
    for one in settings.further:
        found[one.channel].append(DeclaredUpstream(one.name, normal(one.terms)))
    return {channel: tuple(ones) for channel, ones in found.items()}


def further_upstreams(settings: Settings, policy: Policy) -> tuple[tuple[str, Upstream], ...]:
    """The upstreams besides a channel's first, each with its channel.

    Raises:
        InputError: code `configuration`; a channel has no first one, or none in the document.
    """
    out, first, made = _way_out(settings), upstreams(settings, policy), []
    for one in settings.further:
        if one.channel not in first:
            raise InputError(
                f"upstreams.{one.name} is a further upstream of {one.channel}, which has no first.",
                code="configuration",
                hint=f"set {_url(one.channel)}, or take upstreams.{one.name} out",
            )
        made.append((one.channel, _further(one, out)))
    return tuple(made)


def _further(one: FurtherUpstream, out: Network) -> Upstream:
    credential: Credential
    if one.channel == "bedrock":
        url = default_url("bedrock", one.region) if one.url == "auto" else one.url
        credential = Bedrock(one.region, out)
    elif one.channel == "vertex":
        url, credential = one.url, Vertex(out)
    else:
        service = _SERVICES.get(one.channel)
        form = KeyForm.X_API_KEY if service is None else service.form
        url, credential = one.url, NoCredential()
        if service is not None:
            _check_path(url, service, f"upstreams.{one.name}.url")
        if one.key_env is not None:
            key = _secret_of(one.key_env, f"upstreams.{one.name}.key_env")
            credential = FixedKey(key, form)
    return Upstream(check_upstream(url), credential, out, one.name)


def normal(terms: UpstreamTerms) -> UpstreamTerms:
    """The same, with models' names as requests' are compared: without date and version."""
    models = []
    for name, differs in terms.models:
        plain = name.removesuffix("*")
        models.append((model_of(plain) + name[len(plain) :], differs))
    return UpstreamTerms(terms.usual, tuple(models))


def _table(channel: str) -> str:
    return "upstream" if channel == "api" else channel


def _url(channel: str) -> str:
    return f"{_table(channel)}.url"


def _first(settings: Settings, out: Network, form: KeyForm) -> Upstream | None:
    url = settings.text("upstream.url")
    if url is None:
        return None
    return Upstream(check_upstream(url), _credential(settings, "upstream.key_env", form), out)


def _service(settings: Settings, out: Network, channel: str, service: _Service) -> Upstream | None:
    url, key = settings.text(_url(channel)), f"{channel}.key_env"
    if url is None:
        return _first(settings, out, service.form) if service.fallback else None
    if url == "auto" and service.auto is not None:
        url = service.auto
    _check_path(url, service, _url(channel))
    return Upstream(check_upstream(url), _credential(settings, key, service.form), out)


def _check_path(url: str, service: _Service, setting: str) -> None:
    last = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    if last in service.begins:
        raise InputError(
            f"{setting} ends with /{last}, with which requests begin.",
            code="configuration",
            hint=f"leave /{last} out",
        )


def _bedrock(settings: Settings, out: Network) -> Upstream | None:
    url, region = settings.text("bedrock.url"), settings.text("bedrock.region")
    if url is None:
        return None
    address = default_url("bedrock", region) if url == "auto" else url
    return Upstream(check_upstream(address), Bedrock(region, out), out)


def _vertex(settings: Settings, out: Network) -> Upstream | None:
    url = settings.text("vertex.url")
    if url is None:
        return None
    address = default_url("vertex") if url == "auto" else check_upstream(url)
    return Upstream(address, Vertex(out), out)


def _way_out(settings: Settings) -> Network:
    def file(name: str) -> Path | None:
        text = settings.text(name)
        return None if text is None else Path(text)

    return way_out(
        ca_file=file("upstream.ca_file"),
        client_cert=file("upstream.client_cert"),
        client_key=file("upstream.client_key"),
        passphrase=_secret(settings, "upstream.client_key_passphrase_env") or "",
        proxies=proxy_variables(
            settings.text("upstream.proxy") or "env",
            _secret(settings, "upstream.proxy_login_env"),
            os.environ,
        ),
    )


def _secret(settings: Settings, name: str) -> str | None:
    """What stands in the environment variable that a setting names; None: it names none."""
    variable = settings.text(name)
    return None if variable is None else _secret_of(variable, name)


def _secret_of(variable: str, name: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise InputError(
            f"the environment variable {variable} is empty.",
            code="configuration",
            hint=f"set it, or take {name} out",
        )
    return value


def _credential(settings: Settings, name: str, form: KeyForm) -> Credential:
    variable = settings.text(name)
    if variable is None:
        return NoCredential()
    key = os.environ.get(variable)
    if not key:
        option = "" if name != "upstream.key_env" else " with --upstream-key-env"
        raise InputError(
            f"the environment variable {variable} holds no key for the upstream.",
            code="configuration",
            hint=f"set {variable}, or name another{option or f' as {name}'}",
        )
    return FixedKey(key, form)
