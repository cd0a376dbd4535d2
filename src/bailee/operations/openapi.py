"""The HTTP API's description (OpenAPI 3.1), made from what operations take and give."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import UnionType
from typing import Final, Union, get_args, get_origin

import msgspec

from bailee import __version__
from bailee.errors import CODES
from bailee.operations import codec
from bailee.operations.routes import BASE, Route

_IN_PATH: Final = re.compile(r"\{(\w+)\}")
_REFERENCE: Final = "#/components/schemas/{name}"
_REASON: Final = "Why the operator reads what is another's; without it that is refused."
_ERROR: Final = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "code", "message", "hint"],
            "properties": {
                "type": {
                    "type": "string",
                    "enum": sorted({one.api_type for one in CODES.values()}),
                },
                "code": {"type": "string", "enum": sorted(CODES)},
                "message": {"type": "string"},
                "hint": {"type": ["string", "null"]},
            },
        },
    },
}


def document(
    operations: Mapping[str, Callable[..., object]], routes: Mapping[str, Route]
) -> dict[str, object]:
    """The description of these operations at these routes."""
    types: list[object] = []
    for name in routes:
        function = operations[name]
        types += [field.type for field in msgspec.structs.fields(codec.parameters(function))]
        types += _given(function)[0]
    schemas, components = msgspec.json.schema_components(
        types, schema_hook=_anything, ref_template=_REFERENCE
    )
    described = iter(schemas)
    paths: dict[str, dict[str, object]] = {}
    for name, route in routes.items():
        function = operations[name]
        fields = msgspec.structs.fields(codec.parameters(function))
        taken = [(field, next(described)) for field in fields]
        parts = [next(described) for _ in _given(function)[0]]
        gives = parts[0] if len(parts) == 1 else {"anyOf": parts}
        entry = _operation(name, route, function, taken, gives)
        paths.setdefault(BASE + route.path, {})[route.method.lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bailee",
            "version": __version__,
            "description": (
                "What a person, an admin or the operator can ask of a home. Each operation asks "
                "whether who asks may; of what is not theirs they are told that it is not there."
            ),
        },
        "security": [{"key": []}, {"bearer": []}, {"cookie": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ERROR},
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "bailee_session"},
            },
        },
    }


def _anything(kind: type) -> dict[str, object]:
    """The schema of what can be any JSON value."""
    if kind is object:
        return {"description": "A JSON value."}
    raise NotImplementedError


def _given(function: Callable[..., object]) -> tuple[list[object], bool]:
    """What an operation gives is of one of these types; and whether it comes piece by piece."""
    kind, pieces = codec.result(function), False
    if get_origin(kind) in (Iterator, AsyncIterator):
        kind, pieces = get_args(kind)[0], True
    return list(get_args(kind)) if get_origin(kind) in (Union, UnionType) else [kind], pieces


def _operation(
    name: str,
    route: Route,
    function: Callable[..., object],
    taken: list[tuple[msgspec.structs.FieldInfo, dict[str, object]]],
    given: Mapping[str, object],
) -> dict[str, object]:
    in_path = _IN_PATH.findall(route.path)
    media = "application/x-ndjson" if _given(function)[1] else "application/json"
    entry: dict[str, object] = {
        "operationId": name,
        "summary": " ".join((function.__doc__ or name).split("\n\n")[0].split()),
        "tags": [name.rpartition(".")[0].replace(".", "-") or name],
        "responses": {
            "200": {"description": "Done.", "content": {media: {"schema": given}}},
            "default": {
                "description": "Refused, or failed; `code` says which.",
                "content": {
                    "application/json": {"schema": {"$ref": _REFERENCE.format(name="Error")}}
                },
            },
        },
    }
    in_query = route.in_address
    parameters = [
        {
            "name": field.encode_name,
            "in": "path" if field.encode_name in in_path else "query",
            "required": field.encode_name in in_path or field.required,
            "schema": _with_default(field, schema),
        }
        for field, schema in taken
        if in_query or field.encode_name in in_path
    ]
    if route.content and in_query:
        parameters.append(
            {
                "name": "reason",
                "in": "query",
                "required": False,
                "description": _REASON,
                "schema": {"type": "string"},
            }
        )
    if route.method != "GET":
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "With it this is done once, however often it is asked for in a day.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200},
            }
        )
    if parameters:
        entry["parameters"] = parameters
    body = [one for one in taken if not in_query and one[0].encode_name not in in_path]
    if body:
        properties = {field.encode_name: _with_default(field, schema) for field, schema in body}
        if route.content:
            properties["reason"] = {"type": "string", "description": _REASON}
        required = [field.encode_name for field, _ in body if field.required]
        entry["requestBody"] = {
            "required": bool(required),
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": properties,
                        "additionalProperties": False,
                        **({"required": required} if required else {}),
                    }
                }
            },
        }
    return entry


def _with_default(field: msgspec.structs.FieldInfo, schema: dict[str, object]) -> dict[str, object]:
    if field.default in (msgspec.NODEFAULT, None):
        return schema
    return {**schema, "default": codec.plain(field.default)}
