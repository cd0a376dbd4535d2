"""Pages in browsers that may call the gateway.

Pure. Rules kept here:

* No page may, unless its origin is named; there is no way to name all of them. A key in a page
  is in the hands of everybody who opens it.
* What a browser asks before a request (a preflight) is answered here. It has no key, so it goes
  to no upstream.
* An answer to a named origin says so itself; what an upstream says about origins is left out,
  because two such statements are none.

Standard: Fetch, "CORS protocol".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from bailee.errors import InputError
from bailee.gateway.http1 import RequestHead, without

_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_FIELD: Final = re.compile(rb"(?im)^(origin|access-control-request-headers):[ \t]*([^\r\n]*)")
_ABOUT_ORIGINS: Final = frozenset(
    {
        b"access-control-allow-origin",
        b"access-control-allow-credentials",
        b"access-control-allow-headers",
        b"access-control-allow-methods",
        b"access-control-expose-headers",
        b"access-control-max-age",
    }
)
_HEADER_NAMES: Final = re.compile(rb"[A-Za-z0-9, _-]{0,4096}")


class Origins:
    """The origins that were named, such as `https://app.example.com`. The gateway asks it of each
    request, on its thread; it is never changed.
    """

    def __init__(self, named: Iterable[str] = ()) -> None:
        """Raises:
        InputError: code `configuration`; one is not an origin as browsers write it.
        """
        given = tuple(named)
        self._named: Final = frozenset(one.encode("ascii", "replace") for one in given)
        for one in given:
            if _ORIGIN.fullmatch(one) is None:
                raise InputError(
                    f"gateway.origins holds {one!r}, which is not an origin.",
                    code="configuration",
                    hint="write it as browsers do: https://app.example.com, no path, no *",
                )

    def __bool__(self) -> bool:
        return bool(self._named)

    def lines(self, head: RequestHead) -> bytes:
        """The header lines for every answer to this request: none unless its origin is named."""
        origin = _fields(head).get(b"origin", b"")
        if origin not in self._named:
            return b""
        return (
            b"access-control-allow-origin: %b\r\nvary: origin\r\n"
            b"access-control-expose-headers: *\r\n" % origin
        )

    def preflight(self, head: RequestHead) -> bytes | InputError:
        """The header lines that let the request be made that a browser asks for, or why it may
        not be.
        """
        allowed = self.lines(head)
        if not allowed:
            return InputError(
                "Pages in browsers may not call this gateway.",
                code="forbidden",
                hint="the operator names the page's origin in gateway.origins; whoever can open "
                "the page can read the key in it",
            )
        wanted = _fields(head).get(b"access-control-request-headers", b"")
        headers = wanted if _HEADER_NAMES.fullmatch(wanted) is not None else b""
        return (
            allowed + b"access-control-allow-methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"
            b"access-control-allow-headers: %b\r\naccess-control-max-age: 600\r\n" % headers
        )


def without_origins(lines: bytes) -> bytes:
    """An upstream's header lines without what it says about origins."""
    return without(lines, _ABOUT_ORIGINS)


def _fields(head: RequestHead) -> dict[bytes, bytes]:
    return {name.lower(): value.strip() for name, value in _FIELD.findall(head.kept)}
