"""A server elsewhere, asked over its HTTP API as a home on this machine is over its socket.

Rules kept here:

* Plain HTTP goes to this machine alone. Redirects are not followed: they would take the key along.
  A company's proxy and certificates come from the environment (`client.network`).
* What changes something carries an idempotency key of its own, so that it is asked once more when a
  connection broke, and done once.
* An answer that breaks off is an error, never a shorter answer.

Rows: D1, D2.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from bailee import __version__
from bailee.client.network import Network, checked
from bailee.client.reaching import NoRedirect, reached
from bailee.errors import CODES, BaileeError, InputError, UpstreamError
from bailee.operations.routes import BASE, ROUTES, Route

_SECONDS: Final = 600
"""How long a server may be silent: verifying or sweeping a home takes its time."""
_LONGEST: Final = 256 << 20
_IN_PATH: Final = re.compile(r"\{(\w+)\}")
_TRIES: Final = 2


@dataclass(frozen=True, slots=True)
class Server:
    """The address of a server's console, and the key that who asks has for it."""

    address: str
    key: str | None = field(repr=False)

    def ask(self, operation: str, arguments: Mapping[str, object]) -> Iterator[Any]:
        """Carry out an operation there: gives its items as they come.

        Raises:
            InputError: it is one for a home on this machine; there is no key, or the address is
                none.
            UpstreamError: there is no answer, or none that can be understood.
            BaileeError: what the operation raised.
        """
        route = ROUTES.get(operation)
        if route is None:
            raise InputError(
                f"{operation} can only be asked on the machine that has the home.",
                hint="run the command there, without --server",
            )
        given = {name: value for name, value in arguments.items() if value is not None}
        key = given.pop("key", self.key)
        if not isinstance(key, str) or not key:
            raise InputError(
                "a server elsewhere needs an API key.",
                code="authentication",
                hint="set BAILEE_API_KEY; for the operator: bailee key create --operator",
            )
        request = _request(self._reached(), route, given, key)
        with self._answered(request) as answer:
            yield from _items(answer, route)

    def _reached(self) -> str:
        address = reached(self.address.rstrip("/"))
        checked(address, "--server")
        return address

    def _answered(self, request: urllib.request.Request) -> Any:
        tls = Network(os.environ).tls()
        opener = urllib.request.build_opener(NoRedirect, urllib.request.HTTPSHandler(context=tls))
        for last in range(_TRIES - 1, -1, -1):
            try:
                return opener.open(request, timeout=_SECONDS)
            except urllib.error.HTTPError as error:
                with error:
                    raise _problem(error) from None
            except (OSError, http.client.HTTPException):
                if last:
                    continue
                raise UpstreamError(
                    f"{urlsplit(self.address).netloc} can't be reached.",
                    code="upstream_unreachable",
                    hint="is it the address of a console, and does its server run?",
                ) from None
        raise AssertionError


def _request(
    address: str, route: Route, given: dict[str, object], key: str
) -> urllib.request.Request:
    def fill(found: re.Match[str]) -> str:
        value = given.pop(found[1], "me" if found[1] == "id" else None)
        if value is None:
            raise InputError(f"the argument {found[1]!r} is missing.")
        return quote(str(value), safe="")

    headers = {"x-api-key": key, "user-agent": f"bailee/{__version__}"}
    url = address + BASE + _IN_PATH.sub(fill, route.path)
    body = None
    if route.in_address:
        pairs = [(name, _text(one)) for name, value in given.items() for one in _several(value)]
        url += f"?{urlencode(pairs)}" if pairs else ""
    else:
        body = json.dumps(given).encode()
        headers["content-type"] = "application/json"
    if route.method != "GET":
        headers["idempotency-key"] = secrets.token_urlsafe(18)
    return urllib.request.Request(url, body, headers, method=route.method)  # noqa: S310 - `checked`


def _several(value: object) -> list[object] | tuple[object, ...]:
    return value if isinstance(value, list | tuple) else [value]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _items(answer: http.client.HTTPResponse, route: Route) -> Iterator[Any]:
    try:
        if "ndjson" not in answer.headers.get("content-type", ""):
            yield _read(answer.read(_LONGEST))
        elif route.lines:
            for line in answer:
                yield line.decode("utf-8", "surrogatepass")
        else:
            for line in answer:
                yield _read(line)
    except (OSError, http.client.HTTPException):
        raise UpstreamError(
            "the server ended before it answered.",
            code="upstream_closed",
            hint="run the command again",
        ) from None


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise _no_answer_of_ours() from None


def _problem(error: urllib.error.HTTPError) -> BaileeError:
    """What the server said, as the operation would have said it here."""
    try:
        said = json.loads(error.read(1 << 20))["error"]
        code, message, hint = said["code"], said["message"], said["hint"]
    except (ValueError, KeyError, TypeError, RecursionError, OSError, http.client.HTTPException):
        return _no_answer_of_ours(error.code)
    good = code in CODES and isinstance(message, str) and isinstance(hint, str | None)
    return BaileeError(message, code=code, hint=hint) if good else _no_answer_of_ours(error.code)


def _no_answer_of_ours(status: int | None = None) -> BaileeError:
    said = "" if status is None else f" (status {status})"
    return UpstreamError(
        f"this is not an answer of bailee's API{said}.",
        code="upstream_protocol",
        hint="--server takes the address of a console, like https://bailee.example.com",
    )
