r"""The cookies of a request, as the console sets them: names and values without quotes or escapes.

Read here and not by the library's parser, which undoes escapes by the algorithm of Python's own
`http.cookies`: before 3.11.10 its time grows with the square of what a stranger sends, ten seconds
for a head of 60 kB (CVE-2024-7592).

>>> cookies(["a=1; b=2", 'c="\\"']) == {"a": "1", "b": "2", "c": '"\\"'}
True
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import HTTPConnection


def read_cookie(request: HTTPConnection, name: str) -> str | None:
    """A cookie's value; None: there is none."""
    return cookies(request.headers.getlist("cookie")).get(name)


def cookies(lines: Iterable[str]) -> dict[str, str]:
    """The cookies of the `Cookie` fields of a head (RFC 6265, 5.4), the last of each name."""
    pairs = (pair.partition("=") for line in lines for pair in line.split(";"))
    return {name.strip(): value.strip() for name, is_one, value in pairs if is_one}
