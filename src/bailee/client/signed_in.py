"""The machine's own sign-in at a gateway: for `bailee code`, `bailee run`, SDKs and helpers.

Rules kept here:

* The tokens lie in one file of mode 0600, and are sent to the gateway that gave them alone.
* One process at a time renews: a refresh token is good once, and whoever waited finds what came.
* What the gateway does not answer changes nothing here. When it says that the sign-in is over, the
  file goes, and the person is told to sign in.

Standards: RFC 8628 (device grant), RFC 6749 (6), RFC 7009, RFC 8693.
Rows: O1, D2.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

from bailee.client.local_key import make_private, wipe, write_private
from bailee.errors import BaileeError, InputError, StorageError, UpstreamError
from bailee.json_values import JsonObject, members, text
from bailee.loopback import is_loopback
from bailee.outbound.network import HttpResponse, Network, NoAnswer
from bailee.records import dataclass

FILE: Final = "sign-in.json"
SOON: Final = 300.0
"""A token that lasts no longer than this (seconds) is renewed before it is used."""
SIGN_IN_FILE: Final = "BAILEE_SIGN_IN_FILE"
"""In a program's surroundings: where the sign-in is by which it was given its token."""
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_CONSOLE: Final = "BAILEE_CONSOLE_URL"
_OWN: Final = (
    *("BAILEE_API_KEY", "BAILEE_URL", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"),
    *("ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"),
)
"""Who has set one of these has said where to go, and as whom."""


@dataclass(frozen=True, slots=True)
class LocalSignIn:
    """A sign-in as it lies on this machine. `expires_at`: of the access token, Unix seconds.
    `console`: where the gateway's console is, if it has said so.
    """

    gateway: str
    email: str | None
    expires_at: float
    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    console: str | None = None


def read(folder: Path) -> LocalSignIn | None:
    """The sign-in kept in the client's folder; None: there is none, or none that can be read."""
    try:
        values = members(json.loads((folder / FILE).read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None
    gateway, access, until = (values.get(name) for name in ("gateway", "access", "expires_at"))
    if not (
        isinstance(gateway, str) and isinstance(access, str) and isinstance(until, int | float)
    ):
        return None
    return LocalSignIn(
        gateway,
        text(values.get("email")) or None,
        until,
        access,
        text(values.get("refresh")) or None,
        text(values.get("console")) or None,
    )


def keep(folder: Path, signed_in: LocalSignIn) -> None:
    """Keep it in place of the one that was there.

    Raises:
        StorageError: it can't be written.
    """
    try:
        make_private(folder)
        write_private(folder / FILE, json.dumps(asdict(signed_in)).encode())
    except OSError as error:
        raise StorageError(f"{folder / FILE} can't be written ({error.strerror}).") from error


def forget(folder: Path) -> None:
    """Remove it; none there is fine."""
    wipe(folder / FILE)


def fresh(folder: Path, network: Network, now: float) -> LocalSignIn:
    """The sign-in with a token that is good for a while, renewed if need be. Blocks.

    Raises:
        InputError: `authentication`, nobody is signed in (any more).
        UpstreamError: the gateway does not answer, and the token is over.
    """
    held = read(folder)
    if held is not None and held.expires_at - now > SOON:
        return held
    with _alone(folder):
        held = read(folder)
        if held is None:
            raise _sign_in()
        if held.expires_at - now > SOON:
            return held
        try:
            renewed = _renewed(held, network, now)
        except UpstreamError:
            if held.expires_at > now:
                return held
            raise
        except InputError:
            forget(folder)
            raise
        keep(folder, renewed)
        return renewed


def begin(gateway: str, network: Network, agent: str) -> JsonObject:
    """A device grant: what the gateway says of it.

    Raises:
        InputError: the gateway does not let this begin now; UpstreamError: it does not answer so.
    """
    answer = _post(gateway, "/oauth/device_authorization", {}, network, agent)
    said = _said(answer)
    if answer.good and all(isinstance(said.get(one), str) for one in _GRANT):
        return said
    if answer.status == 429:
        raise InputError("too many sign-ins were begun.", code="too_many_attempts")
    raise UpstreamError(
        f"{gateway} does not sign clients in (status {answer.status}).",
        code="upstream_protocol",
        hint="name the address of a bailee gateway",
    )


_GRANT: Final = ("device_code", "user_code", "verification_uri")


def claim(gateway: str, code: str, network: Network, now: float, agent: str) -> LocalSignIn | str:
    """The sign-in, or the protocol's word for why there is none (yet)."""
    form = {"grant_type": DEVICE_GRANT, "device_code": code}
    answer = _post(gateway, "/oauth/token", form, network, agent)
    said = _said(answer)
    if answer.good:
        return _of(gateway, said, now)
    return text(said.get("error")) or "temporarily_unavailable"


def exchange(  # noqa: PLR0917 - as `claim`
    gateway: str, service_account: str, token: str, network: Network, now: float, agent: str
) -> LocalSignIn:
    """The sign-in of a machine, for its CI provider's token (RFC 8693): an hour, without renewal.

    Raises:
        InputError: `authentication`, the gateway does not take it; UpstreamError: it does not
            answer.
    """
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "audience": service_account,
        "subject_token": token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    }
    answer = _post(gateway, "/oauth/token", form, network, agent)
    said = _said(answer)
    if answer.good:
        return _of(gateway, said, now)
    if answer.status in (400, 401):
        why = "".join(one for one in text(said.get("error_description")) if one.isprintable())[:200]
        raise InputError(
            f"the gateway does not take this job's token. {why}".strip(),
            code="authentication",
            hint="bailee organisation service-account list shows whose tokens count",
        )
    raise UpstreamError(f"{gateway} gives no token now (status {answer.status}).")


def end(held: LocalSignIn, network: Network) -> None:
    """Tell the gateway that it is over.

    Raises:
        UpstreamError: it does not answer: the access token is good for the rest of its hour.
    """
    token = held.refresh or held.access
    answer = _post(held.gateway, "/oauth/revoke", {"token": token}, network)
    if not answer.good:
        raise UpstreamError(f"{held.gateway} did not take it back (status {answer.status}).")


def in_force(variable: Callable[[str], str | None], folder: Path) -> LocalSignIn | None:
    """The sign-in that counts here; None: there is none, or somebody has set where to go, and as
    whom.
    """
    return None if any(variable(name) for name in _OWN) else read(folder)


def surroundings(
    variable: Callable[[str], str | None], folder: Path, network: Network, now: float
) -> Mapping[str, str]:
    """What is added to a program's environment where someone is signed in, and has set nothing
    else: where to go, and as whom. Who is signed in no more gets nothing, and is told by what asks.
    """
    held = in_force(variable, folder)
    if held is None:
        return {}
    try:
        held = fresh(folder, network, now)
    except InputError:
        return {}
    except BaileeError:
        pass  # what is there may do without the gateway; what asks it says what is wrong
    told = held.console is not None and not variable(_CONSOLE)
    return {
        **({_CONSOLE: str(held.console)} if told else {}),
        "BAILEE_URL": held.gateway,
        "BAILEE_API_KEY": held.access,
        "ANTHROPIC_BASE_URL": held.gateway,
        "ANTHROPIC_AUTH_TOKEN": held.access,
        SIGN_IN_FILE: str(folder / FILE),
    }


def _renewed(held: LocalSignIn, network: Network, now: float) -> LocalSignIn:
    if held.refresh is None:
        if held.expires_at > now:
            return held
        raise _sign_in()
    form = {"grant_type": "refresh_token", "refresh_token": held.refresh}
    answer = _post(held.gateway, "/oauth/token", form, network)
    if answer.status in (400, 401):
        raise _sign_in()
    if not answer.good:
        raise UpstreamError(f"{held.gateway} gives no token now (status {answer.status}).")
    return _of(held.gateway, _said(answer), now)


def _of(gateway: str, said: JsonObject, now: float) -> LocalSignIn:
    access, lasts = said.get("access_token"), said.get("expires_in")
    if not (isinstance(access, str) and isinstance(lasts, int | float)):
        raise UpstreamError(f"{gateway} gave no token.", code="upstream_protocol")
    refresh = text(said.get("refresh_token")) or None
    email, console = text(said.get("email")) or None, text(said.get("bailee_console"))
    return LocalSignIn(gateway, email, now + lasts, access, refresh, _safe(console))


def _safe(console: str) -> str | None:
    """An address to which a token can go: by TLS, or of this machine."""
    try:
        parts = urlsplit(console)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return None
    here = is_loopback(host) or host.endswith(".localhost")
    fine = parts.scheme == "https" or (parts.scheme == "http" and here)
    return console.rstrip("/") if fine and host and parts.username is None else None


def _post(
    gateway: str, path: str, form: dict[str, str], network: Network, agent: str = "bailee"
) -> HttpResponse:
    headers = {"content-type": "application/x-www-form-urlencoded", "user-agent": agent}
    try:
        return network.ask(
            "POST", gateway + path, content=urlencode(form).encode(), headers=headers,
            what="the gateway's address",
        )  # fmt: skip
    except NoAnswer as error:
        raise UpstreamError(
            f"{gateway} can't be reached ({error}).", hint="is it the address of a gateway?"
        ) from None


def _said(answer: HttpResponse) -> JsonObject:
    try:
        return members(json.loads(answer.content))
    except (ValueError, RecursionError):
        return {}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        make_private(folder)
        descriptor = os.open(folder / "sign-in.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{folder} can't be used ({error.strerror}).") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sign_in() -> InputError:
    return InputError(
        "nobody is signed in on this machine, or the sign-in is over.",
        code="authentication",
        hint="bailee login https://…",
    )
