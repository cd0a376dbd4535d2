"""What the vendors' own clients make of an answer's bytes: nothing is stubbed but the network."""

from __future__ import annotations

import warnings
from typing import Any

import httpx2
from google import genai
from openai import OpenAI

_HEADERS = {"content-type": "text/event-stream"}


class Sdks:
    """One client of each vendor, whose next answer is given. Used by one test at a time."""

    def __init__(self) -> None:
        self.body = b""
        transport = httpx2.MockTransport(
            lambda _: httpx2.Response(200, headers=_HEADERS, content=self.body)
        )
        self._openai = OpenAI(
            api_key="dummy",
            base_url="http://127.0.0.1:9/v1",
            http_client=httpx2.Client(transport=transport),
            max_retries=0,
        )
        self._genai = genai.Client(
            api_key="dummy",
            http_options={
                "base_url": "http://127.0.0.1:9",
                "client_args": {"transport": transport},
            },
        )

    def responses(self, body: bytes) -> dict[str, Any] | None:
        """The response that the SDK has in the end; None if it refuses the stream."""
        self.body = body
        try:
            with self._openai.responses.stream(model="m", input="x") as stream:
                found = None
                for event in stream:
                    if event.type in _ENDS:
                        found = event.response  # type: ignore[union-attr]
                return None if found is None else _plain(found)
        except Exception:
            return None

    def chat(self, body: bytes) -> dict[str, Any] | None:
        """The completion that the SDK has in the end; None if it refuses the stream."""
        self.body = body
        try:
            with self._openai.chat.completions.stream(
                model="m", messages=[{"role": "user", "content": "x"}]
            ) as stream:
                for _ in stream:
                    pass
                return _plain(stream.current_completion_snapshot)
        except Exception:
            return None

    def gemini(self, body: bytes) -> list[dict[str, Any]] | None:
        """The chunks that the SDK hands out; None if it refuses the stream."""
        self.body = body
        try:
            return [
                one.model_dump(mode="json", by_alias=True, exclude_none=True)
                for one in self._genai.models.generate_content_stream(model="m", contents="x")
            ]
        except Exception:
            return None


_ENDS = ("response.completed", "response.incomplete", "response.failed")


def _plain(found: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the models don't know
        plain: dict[str, Any] = found.model_dump(mode="json", exclude_unset=True, warnings=False)
        return plain
