"""A JSON body of telemetry, taken part by part. Pure.

Rules kept here:

* What is JSON but for half a character (half an emoji where a text was cut, bytes that are not
  UTF-8) is read with a mark in its place, and NaN as nothing: one text costs no batch.
* Elements of a list that are not what it is a list of are passed over and counted, and so is
  something else in a list's place.
"""

from __future__ import annotations

import json
import math

import orjson

from bailee.json_values import JsonObject
from bailee.telemetry.otlp import DecodingBudget


def message(body: bytes) -> JsonObject:
    """The object that a body is.

    Raises:
        ValueError: it is none.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = _mended(body)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def parts(parent: JsonObject, name: str, room: DecodingBudget) -> list[JsonObject]:
    """The objects of the list of that name; whatever else is there is counted as passed over.

    Raises:
        TooMany: there is no room for so many.
    """
    found = parent.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        room.passed_over += 1
        return []
    objects = [one for one in room.of(found) if isinstance(one, dict)]
    room.passed_over += len(found) - len(objects)
    return objects


def _mended(body: bytes) -> object:
    """Read once more, as the standard library does, and written so that it is a text."""
    try:
        found = json.loads(
            body.decode("utf-8", "replace"), parse_constant=_nothing, parse_float=_finite
        )
        return orjson.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error


def _nothing(_: str) -> None:
    return None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
