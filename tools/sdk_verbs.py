"""Every request that the supported SDKs can make, found in the SDKs themselves.

A new version of one that can make another request changes `verbs()`, and with it the table of
routes (`routes_page`): somebody has to look at what it carries.

To read them takes five seconds, and each process of a test run would: what was found is kept in
.cache until a file of theirs, or this one, is another.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import importlib.util
import json
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from typing import Final

from coding_agents import fetching

_CALLS: Final = {
    "_get": "GET",
    "_get_api_list": "GET",
    "_post": "POST",
    "_put": "PUT",
    "_patch": "PATCH",
    "_delete": "DELETE",
}
# Not in the SDKs: older ones', other vendors', and what clients send to whatever they are given.
_DOCUMENTED: Final = (
    ("POST", "/v1/complete"),
    ("GET", "/inference-profiles", "bedrock"),
    # OpenAI's and Google's APIs without a prefix.
    ("POST", "/v1/responses"),
    ("GET", "/v1/responses/{response_id}"),
    ("DELETE", "/v1/responses/{response_id}"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/gemini/v1beta/interactions"),
    ("POST", "/openai/v1/responses", "azure"),
    ("POST", "/openai/v1/responses/compact", "azure"),
    ("POST", "/openai/v1/responses/input_tokens", "azure"),
    ("POST", "/openai/v1/chat/completions", "azure"),
    ("POST", "/openai/deployments/{deployment}/chat/completions", "azure"),
    ("POST", "/openai/deployments/{deployment}/embeddings", "azure"),
    ("POST", "/v1/messages", "foundry"),
    ("POST", "/v1/messages/count_tokens", "foundry"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/metrics"),
    ("POST", "/v1/logs"),
    ("POST", "/v1/traces"),
)
_VERTEX: Final = "/v1/projects/{project}/locations/{location}"
_VERTEX_VERBS: Final = (
    # As `anthropic.AnthropicVertex` makes them of the Messages API's.
    ("POST", f"{_VERTEX}/publishers/anthropic/models/{{model}}:rawPredict"),
    ("POST", f"{_VERTEX}/publishers/anthropic/models/{{model}}:streamRawPredict"),
    ("POST", f"{_VERTEX}/publishers/anthropic/models/count-tokens:rawPredict"),
    # What else Vertex AI's REST reference has for the same token.
    ("POST", f"{_VERTEX}/publishers/google/models/{{model}}:generateContent"),
    ("POST", f"{_VERTEX}/publishers/google/models/{{model}}:streamGenerateContent"),
    ("POST", f"{_VERTEX}/publishers/google/models/{{model}}:countTokens"),
    ("POST", f"{_VERTEX}/endpoints/{{endpoint}}:predict"),
    ("POST", f"{_VERTEX}/endpoints/{{endpoint}}:rawPredict"),
    ("GET", f"{_VERTEX}/endpoints"),
    ("POST", f"{_VERTEX}/customJobs"),
    ("POST", f"{_VERTEX}/batchPredictionJobs"),
)
_ANTHROPIC: Final = "anthropic SDK"


@dataclass(frozen=True, slots=True, order=True)
class Verb:
    """One request: whose, its method, and its path at the gateway with `{names}` left open."""

    source: str
    path: str
    method: str


@cache
def verbs() -> list[Verb]:
    """All of them, in order.

    Raises:
        ValueError: an SDK makes a request in a way that is not understood here.
    """
    with fetching("sdk-verbs") as folder:
        kept = folder / f"{_state_of_the_files()}.json"
        if kept.exists():
            return [Verb(*one) for one in json.loads(kept.read_text())]
        found = _read()
        for old in folder.glob("*"):
            old.unlink()
        part = kept.with_suffix(".part")
        part.write_text(json.dumps([astuple(one) for one in found]))
        part.rename(kept)
        return found


def _state_of_the_files() -> str:
    """A digest of which files are read, how long each is and when it was written."""
    state = hashlib.sha256()
    for file in (Path(__file__), *_resource_files(), *_google_files(), _bedrock_file()):
        found = file.stat()
        state.update(f"{file} {found.st_size} {found.st_mtime_ns}\n".encode())
    return state.hexdigest()[:24]


def _read() -> list[Verb]:
    found = {Verb(_ANTHROPIC, path, method) for method, path in _resources("anthropic")}
    found |= {
        Verb("openai SDK", f"/openai/v1{path}", method) for method, path in _resources("openai")
    }
    found |= {Verb("google-genai SDK", f"/gemini/v1beta/{path}", m) for m, path in _google()}
    found |= {Verb("Bedrock runtime", "/bedrock" + path, method) for method, path in _bedrock()}
    found |= {Verb("Vertex AI", "/vertex" + path, method) for method, path in _VERTEX_VERBS}
    for method, path, *channel in _DOCUMENTED:
        found.add(Verb("others", "".join(f"/{one}" for one in channel) + path, method))
    return sorted(found)


def filled(path: str) -> str:
    """`path` with something in the place of each name."""
    return path.replace("{", "a-").replace("}", "-1")


def _resources(package: str) -> set[tuple[str, str]]:
    """Of a Python SDK: each call of a resource's, (method, path)."""
    found = set()
    for file in _resource_files(package):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                method = _CALLS.get(node.func.attr)
                if method is not None and node.args:
                    said = [k.value for k in node.keywords if k.arg == "method"]
                    if said:
                        assert isinstance(said[0], ast.Constant)
                        method = str(said[0].value).upper()
                    path = _path(node.args[0], file)
                    if path is not None:
                        found.add((method, path))
    return found


def _google() -> set[tuple[str, str]]:
    """Of google-genai: each request of a module's, (method, path); a name there has its kind."""
    found = set()
    for file in _google_files():
        for made in ast.walk(ast.parse(file.read_text())):
            if not isinstance(made, ast.FunctionDef):
                continue
            texts = [
                _unformatted(one.value)
                for one in ast.walk(made)
                if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "path"
            ]
            methods = {
                str(one.args[0].value).upper()
                for one in ast.walk(made)
                if isinstance(one, ast.Call)
                and ast.unparse(one.func).startswith("self._api_client.request")
                and one.args
                and isinstance(one.args[0], ast.Constant)
            }
            named = _NAMED.get(file.stem, file.stem)
            for text in filter(None, texts):
                path = text.replace("{model}", "models/{model}").replace("{name}", f"{named}/{{n}}")
                path = path.partition("?")[0].lstrip("/")
                found |= {(method, path) for method in methods}
    return found


_NAMED: Final = {"caches": "cachedContents", "tunings": "tunedModels", "models": "models"}


def _unformatted(given: ast.expr) -> str | None:
    """The text of `'...'` or `'...'.format_map(...)`; None for what is built of others."""
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute):
        given = given.func.value
    return given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else None


def _path(given: ast.expr, file: Path) -> str | None:
    if isinstance(given, ast.Call) and given.args:  # path_template("/v1/files/{file_id}", ...)
        given = given.args[0]
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return given.value.partition("?")[0]
    if isinstance(given, ast.Attribute) and given.attr == "results_url":
        return "/v1/messages/batches/{message_batch_id}/results"
    raise ValueError(f"{file}: a request's path is not understood: {ast.unparse(given)}")


def _bedrock() -> set[tuple[str, str]]:
    """Of botocore's model of the Bedrock runtime: each operation, (method, path)."""
    operations = json.loads(gzip.decompress(_bedrock_file().read_bytes()))["operations"].values()
    return {(one["http"]["method"], one["http"]["requestUri"]) for one in operations}


def _resource_files(*packages: str) -> list[Path]:
    folders = [_folder(one) / "resources" for one in packages or ("anthropic", "openai")]
    return sorted(file for folder in folders for file in folder.rglob("*.py"))


def _google_files() -> list[Path]:
    return sorted(_folder("google.genai").glob("*.py"))


def _bedrock_file() -> Path:
    (model,) = _folder("botocore").glob("data/bedrock-runtime/*/service-2.json.gz")
    return model


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None, package
    return Path(spec.origin).parent
