"""One request as a page's handler sees it: who asks, in which language, what the form says.

Handlers are plain functions that run in a thread, take an `Ask` and give a response; everything
asynchronous, and every check that all pages share, is done before (`site.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl

from starlette.requests import Request

from bailee.accounts import Actor
from bailee.console.visitor import SignedIn, Visitor
from bailee.errors import InputError
from bailee.words import Words

_BODY_SECONDS = 10
_BODY_RATE = 20_000  # bytes a second
LARGEST_BODY = 10_000
LARGEST_CREDENTIAL = 60_000
LARGEST_DOCUMENT = 1_000_000
LARGEST_OWN = 200_000  # an organisation's own, as a form has it
LARGEST_TASK = 1_000_000


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. `form`: the fields that were sent, the last of each name. `body`: raw, and
    `actor`: who asks, for the HTTP API. `path`: the parts of the address. The site makes it, for
    one handler.
    """

    request: Request
    visitor: Visitor
    words: Words
    now: datetime
    form: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    actor: Actor | None = None

    @property
    def path(self) -> Mapping[str, str]:
        """The address's parts by name."""
        return self.request.path_params

    @property
    def query(self) -> Mapping[str, str]:
        """The address's query, the last of each name."""
        return self.request.query_params

    @property
    def person(self) -> SignedIn:
        """The signed-in person; the route's rule has made sure that there is one."""
        assert self.visitor.person is not None
        return self.visitor.person

    def given(self, name: str) -> str:
        """A form's field.

        Raises:
            InputError: it is not there or empty.
        """
        value = self.form.get(name, "")
        if not value:
            raise InputError(self.words("form.missing", field=name))
        return value


def within(request: Request, largest: int) -> None:
    """Refuse a body by its declared length, before any of it is read.

    Raises:
        InputError: code `request_too_large`.
    """
    declared = request.headers.get("content-length", "0")
    if len(declared) > 18 or not declared.isdecimal() or int(declared) > largest:
        raise _too_large()


async def read_body(request: Request, largest: int) -> bytes:
    """The request's body.

    Raises:
        InputError: code `request_too_large`; `request_timeout`, it did not come in time.
        ClientDisconnect: the client went away.
    """
    raw = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS + largest / _BODY_RATE):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > largest:
                    raise _too_large()
    except TimeoutError:
        raise InputError("the request did not arrive in time.", code="request_timeout") from None
    return bytes(raw)


def _too_large() -> InputError:
    return InputError("the request is too large.", code="request_too_large")


def fields(body: bytes) -> dict[str, str]:
    """The fields of a form (`application/x-www-form-urlencoded`).

    Raises:
        InputError: not a form, or a field stands twice.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=100, errors="strict"
        )
    except (UnicodeDecodeError, ValueError):
        raise InputError("this is not a form.") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InputError("a field of the form is given twice.")
    return found
