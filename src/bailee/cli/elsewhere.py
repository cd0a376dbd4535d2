"""A server elsewhere, asked over its HTTP API as a home on this machine is over its socket.

Rules kept here:

* Plain HTTP goes to this machine alone. Redirects are not followed: they would take the key along.
  A company's proxy and certificates come from the environment (`outbound.network`).
* What changes something carries an idempotency key of its own, so that it is asked once more when a
  connection broke, and done once.
* An answer that breaks off is an error, never a shorter answer.

Rows: D1, D2.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import httpx2

from bailee.client.reaching import reached
from bailee.errors import CODES, BaileeError, InputError, UpstreamError
from bailee.json_values import Json
from bailee.operations.routes import BASE, ROUTES, Route
from bailee.outbound.network import Network, checked

_SECONDS: Final = 600
"""How long a server may be silent: verifying or sweeping a home takes its time."""
_LONGEST: Final = 256 << 20
_IN_PATH: Final = re.compile(r"\{(\w+)\}")
_TRIES: Final = 2


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """The address of a server's console, and the key that who asks has for it."""

    address: str
    key: str | None = field(repr=False)

    def ask(self, operation: str, arguments: Mapping[str, object]) -> Iterator[Json]:
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
        address = reached(self.address.rstrip("/"))
        checked(address, "--server")
        with Network.of().client(address, "--server", _SECONDS) as client:
            request = _request(client, address, route, given, key)
            with self._answered(client, request) as answer:
                yield from _items(answer, route)

    @contextmanager
    def _answered(
        self, client: httpx2.Client, request: httpx2.Request
    ) -> Iterator[httpx2.Response]:
        for last in range(_TRIES - 1, -1, -1):
            try:
                answer = client.send(request, stream=True)
                break
            except httpx2.HTTPError:
                if last:
                    continue
                raise UpstreamError(
                    f"{urlsplit(self.address).netloc} can't be reached.",
                    code="upstream_unreachable",
                    hint="is it the address of a console, and does its server run?",
                ) from None
        try:
            if not answer.is_success:
                raise _problem(answer)
            yield answer
        finally:
            answer.close()


def _request(
    client: httpx2.Client, address: str, route: Route, given: dict[str, object], key: str
) -> httpx2.Request:
    def fill(found: re.Match[str]) -> str:
        value = given.pop(found[1], "me" if found[1] == "id" else None)
        if value is None:
            raise InputError(f"the argument {found[1]!r} is missing.")
        return quote(str(value), safe="")

    headers = {"x-api-key": key}
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
    return client.build_request(route.method, url, content=body, headers=headers)


def _several(value: object) -> list[object] | tuple[object, ...]:
    return value if isinstance(value, list | tuple) else [value]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _items(answer: httpx2.Response, route: Route) -> Iterator[Json]:
    try:
        if "ndjson" not in answer.headers.get("content-type", ""):
            yield _read(_whole(answer, _LONGEST))
            return
        for line in _lines(answer):
            yield line.decode("utf-8", "surrogatepass") if route.lines else _read(line)
    except httpx2.HTTPError:
        raise UpstreamError(
            "the server ended before it answered.",
            code="upstream_closed",
            hint="run the command again",
        ) from None


def _lines(answer: httpx2.Response) -> Iterator[bytes]:
    """Each with its line feed, which alone ends one."""
    rest = b""
    for piece in answer.iter_bytes():
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


def _whole(answer: httpx2.Response, most: int) -> bytes:
    """An answer, up to a size."""
    pieces, size = [], 0
    for piece in answer.iter_bytes():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise _no_answer_of_ours(answer.status_code)
    return b"".join(pieces)


def _read(raw: bytes) -> Json:
    try:
        value: Json = json.loads(raw)
    except (ValueError, RecursionError):
        raise _no_answer_of_ours() from None
    return value


def _problem(answer: httpx2.Response) -> BaileeError:
    """What the server said, as the operation would have said it here."""
    status = answer.status_code
    try:
        said = json.loads(_whole(answer, 1 << 20))["error"]
        code, message, hint = said["code"], said["message"], said["hint"]
    except (ValueError, KeyError, TypeError, RecursionError, httpx2.HTTPError):
        return _no_answer_of_ours(status)
    good = code in CODES and isinstance(message, str) and isinstance(hint, str | None)
    return BaileeError(message, code=code, hint=hint) if good else _no_answer_of_ours(status)


def _no_answer_of_ours(status: int | None = None) -> BaileeError:
    said = "" if status is None else f" (status {status})"
    return UpstreamError(
        f"this is not an answer of bailee's API{said}.",
        code="upstream_protocol",
        hint="--server takes the address of a console, like https://bailee.example.com",
    )
