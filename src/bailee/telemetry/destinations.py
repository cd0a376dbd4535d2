"""Where what the guard let through goes: into the own store, on to somebody, or nowhere. Pure.

A destination is written in words: `store`, `otlp:URL`, `sentry:DSN`, `none`; `store` and one
address may stand together. What a destination can't take is refused when the server starts. The
policy document says how far any of it holds (`within`).

Standards: OTLP/HTTP (the address is the base, `/v1/...` is added), Sentry DSNs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from bailee.errors import InputError
from bailee.loopback import is_loopback
from bailee.policy.bounds import ONWARD, STORE
from bailee.telemetry.records import METRIC, DataClass

KINDS: Final[dict[DataClass, tuple[str, ...]]] = {
    "metric": ("otlp",),
    "error_event": ("otlp", "sentry"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """Somebody's address. `kind`: otlp or sentry; `url`: the base, or a project's envelopes;
    `headers`: what it knows us by, in no error and no view.
    """

    kind: str
    url: str
    headers: dict[str, str] = field(repr=False)

    @property
    def shown(self) -> str:
        """The address without what could be a credential in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one flow goes: into the own store or not, and on to an address or not."""

    store: bool = True
    address: Address | None = None

    @property
    def shown(self) -> str:
        """In words."""
        words = ["store"] if self.store else []
        if self.address is not None:
            words.append(f"{self.address.kind}:{self.address.shown}")
        return " ".join(words) or "none"


def destination(
    data_class: DataClass, text: str, name: str, authorization: str | None = None
) -> Destination:
    """The destination that a setting (`name`) names; `authorization` goes with OTLP.

    Raises:
        InputError: code `configuration`. It repeats no address: one may hold a key.
    """
    words = text.split()
    if words == ["none"]:
        return Destination(store=False)
    addresses = [word for word in words if word != "store"]
    if not words or len(addresses) > 1 or len(words) - len(addresses) > 1:
        raise _wrong(f"{name} names no destination.", data_class)
    if not addresses:
        return Destination()
    kind, _, url = addresses[0].partition(":")
    if kind not in KINDS[data_class]:
        raise _wrong(f"{name} names a destination that does not take this.", data_class)
    made = _dsn(url, name) if kind == "sentry" else _otlp(url, name, authorization)
    return Destination("store" in words, made)


def within(to: Destination, places: Collection[str]) -> Destination:
    """A destination as far as the policy document lets it be one: `places`, of `bounds.PLACES`."""
    return Destination(to.store and STORE in places, to.address if ONWARD in places else None)


def check_address(url: str, name: str) -> None:
    """Refuse an address that would tell it readably across a network.

    Raises:
        InputError: code `configuration`.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise _unsafe(name) from None
    allowed = ("https", "http") if is_loopback(host) else ("https",)
    if not host or parts.scheme not in allowed:
        raise _unsafe(name)


def _otlp(url: str, name: str, authorization: str | None) -> Address:
    check_address(url, name)
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(
            f"{name} has more in its address than a place.",
            code="configuration",
            hint="name a variable that holds a credential in telemetry.otlp_authorization_env",
        )
    headers = {} if authorization is None else {"authorization": authorization}
    return Address("otlp", url.rstrip("/"), headers)


def _dsn(dsn: str, name: str) -> Address:
    check_address(dsn, name)
    parts = urlsplit(dsn)
    before, _, project = parts.path.rpartition("/")
    if not parts.username or not project.isalnum() or parts.query or parts.fragment:
        raise InputError(
            f"{name} holds no DSN.",
            code="configuration",
            hint="write it like sentry:https://KEY@sentry.example.com/1",
        )
    host = parts.netloc.rpartition("@")[2]
    header = f"Sentry sentry_version=7, sentry_client=bailee/1, sentry_key={parts.username}"
    url = f"{parts.scheme}://{host}{before}/api/{project}/envelope/"
    return Address("sentry", url, {"x-sentry-auth": header})


def _unsafe(name: str) -> InputError:
    return InputError(
        f"{name} is not an https address.",
        code="configuration",
        hint="write it like https://collector.example.com; http only on this machine",
    )


def _wrong(message: str, data_class: DataClass) -> InputError:
    known = [f"{kind}:{'DSN' if kind == 'sentry' else 'URL'}" for kind in KINDS[data_class]]
    what = "metrics" if data_class == METRIC else "errors"
    return InputError(
        message,
        code="configuration",
        hint=f"{what} go to one of store, none, {', '.join(known)}; or to store and one address",
    )
