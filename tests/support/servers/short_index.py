"""The package index with short pages: of what is installed here, that version alone.

pip reads every version that a project ever had, before it takes one. Of what an image needs these
are some ten thousands, most of the work of installing it. This index asks the real one for each
page and leaves out the others; the files come from where they are. A page that has none of that
version is as it was.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from importlib import metadata
from typing import Any, Self
from urllib.error import URLError
from urllib.parse import urljoin

import orjson
import pytest

from bailee.testing.threaded import ThreadedServer

REAL = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
_KIND = "application/vnd.pypi.simple.v1+json"
_PATIENCE = 60  # seconds


@contextmanager
def short_index() -> Iterator[None]:
    """Meanwhile pip uses it, if the real one can be reached and says what it has as JSON."""
    if _page("pip") is None:
        yield
        return
    with _ShortIndex() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        for name in ("no_proxy", "NO_PROXY"):
            patch.setenv(name, ",".join(filter(None, (os.environ.get(name), "127.0.0.1"))))
        yield


def shortened(page: dict[str, Any], version: str | None) -> dict[str, Any]:
    """A page with the wheels of one version alone, if it has any."""
    if version is None:
        return page
    files = [one for one in page["files"] if _is_wheel_of(one["filename"], version)]
    return {**page, "files": files, "versions": [version]} if files else page


def _is_wheel_of(filename: str, version: str) -> bool:
    return filename.endswith(".whl") and filename.split("-")[1] == version


def _installed(project: str) -> str | None:
    try:
        return metadata.version(project)
    except metadata.PackageNotFoundError:
        return None


def _page(project: str) -> dict[str, Any] | None:
    """What there is of a project, its files' addresses whole."""
    asked = urllib.request.Request(f"{REAL}/{project}/", headers={"accept": _KIND})
    try:
        with urllib.request.urlopen(asked, timeout=_PATIENCE) as answer:
            if answer.headers.get_content_type() != _KIND:
                return None
            page: dict[str, Any] = orjson.loads(answer.read())
    except (URLError, OSError):
        return None
    page = shortened(page, _installed(project))
    for file in page["files"]:
        if not file["url"].startswith("https://"):
            file["url"] = urljoin(asked.full_url, file["url"])
    return page


class _ShortIndex(ThreadedServer):
    def __enter__(self) -> Self:
        self.begin(_Pages)
        return self


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """A project's page."""
        project = self.path.strip("/").rpartition("/")[2]
        page = _page(project)
        if page is None:
            self.send_error(404)
            return
        body = orjson.dumps(page)
        self.send_response(200)
        self.send_header("content-type", _KIND)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is written down."""
