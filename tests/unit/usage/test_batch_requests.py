"""Which requests have a batch made, and which models theirs ask."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.api import Api
from bailee.gateway.routes import GatewayRoute, route
from bailee.usage.asked import asked_of
from bailee.usage.batch_requests import AskedLater, asked_later, makes_batch

pytestmark = pytest.mark.row("O2")
MESSAGES = "/v1/messages/batches"
GEMINI = "/v1beta/models/gemini-2.5-pro:batchGenerateContent"
JOBS = "/v1/projects/p/locations/l/batchPredictionJobs"


def asked(target: str, body: object, codings: str = "") -> tuple[str, ...]:
    """The models that a batch asks; none: they can't be told."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = asked_later(target, raw, codings)
    assert isinstance(found, AskedLater)
    assert (0, 0) == (found.into, found.out)
    return found.models


def one(model: str | None, **more: Any) -> dict[str, Any]:
    """A request of a batch of messages."""
    named = {} if model is None else {"model": model}
    params = {**named, "max_tokens": 9, "messages": [{"role": "user", "content": "pears"}], **more}
    return {"custom_id": "c", "params": params}


@pytest.mark.parametrize(
    ("method", "target", "makes"),
    [
        (b"POST", b"/v1/messages/batches", True),
        (b"POST", b"/v1/messages/batches?beta=true", True),
        (b"POST", b"/foundry/v1/messages/batches", True),
        (b"POST", b"/v1/Messages/Batches", True),
        (b"POST", b"/openai/v1/batches", True),
        (b"POST", b"/v1/batches", True),
        (b"POST", b"/azure/openai/v1/batches", True),
        (b"POST", b"/gemini/v1beta/models/m:batchGenerateContent", True),
        (b"POST", b"/gemini/v1beta/models/m:asyncBatchEmbedContent", True),
        (b"POST", b"/gemini/v1beta/batchPredictionJobs", True),
        (b"POST", b"/vertex/v1/projects/p/locations/l/batchPredictionJobs", True),
        (b"POST", b"/bedrock/model-invocation-job", True),
        (b"GET", b"/v1/messages/batches", False),
        (b"GET", b"/v1/messages/batches/msgbatch_01/results", False),
        (b"POST", b"/v1/messages/batches/msgbatch_01/cancel", False),
        (b"DELETE", b"/v1/messages/batches/msgbatch_01", False),
        (b"POST", b"/gemini/v1beta/batches/b1:cancel", False),
        (b"POST", b"/openai/v1/vector_stores/v/file_batches", False),
        (b"POST", b"/v1/files", False),
        (b"POST", b"/v1/messages", False),
        (b"POST", b"/v1/messages?then=/batches", False),
    ],
)
def test_what_has_a_batch_made_is_told_by_method_and_path(
    method: bytes, target: bytes, makes: bool
) -> None:
    """To look at one, to cancel it and to fetch its results is none."""
    where = route(method, target)
    assert isinstance(where, GatewayRoute)
    assert makes == where.makes_batch


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=9))
def test_every_request_of_a_batch_of_messages_counts(models: list[str]) -> None:
    """Each model is told, wherever it stands."""
    assert {*models} == {*asked(MESSAGES, {"requests": [one(name) for name in models]})}


def test_models_that_may_answer_instead_are_asked_too() -> None:
    """As in a request of its own."""
    batch = {"requests": [one("a", fallbacks=[{"model": "b"}]), one("a", fallback_model="c")]}
    assert ("a", "b", "c") == asked(MESSAGES, batch)


def test_a_long_batch_and_one_in_a_coding_are_read() -> None:
    """In parts, long strings left out."""
    batch = {"requests": [one("a", system="x" * 70_000) for _ in range(30)] + [one("b")]}
    raw = json.dumps(batch).encode()
    assert len(raw) > 2 << 20
    assert ("a", "b") == asked(MESSAGES, raw)
    assert ("a", "b") == asked(MESSAGES, gzip.compress(raw), "gzip")


TWICE = b'{"requests":[{"params":{"model":"a","model":"b"}}]}'


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b"null", TWICE, TWICE.replace(b'"model":"b"', b'"mod\\u0065l":"b"'),
        b'{"requests":[{"params":{"model":"b"}}],"requests":[{"params":{"model":"a"}}]}',
        {}, {"model": "a"}, {"requests": []}, {"requests": {}}, {"requests": "a"},
        {"requests": [one("a"), one(None)]}, {"requests": [one("a"), one("")]},
        {"requests": [one("a"), {"custom_id": "c"}]}, {"requests": [one("a"), None]},
        {"requests": [{"model": "a"}]}, {"requests": [{"params": {"model": ["a"]}}]},
        {"requests": [one(f"m{number}") for number in range(21)]},
        {"requests": [one("a", messages=[0] * 260_000)]},
    ],
)  # fmt: skip
def test_of_what_can_be_read_in_two_ways_or_not_at_all_nothing_is_told(body: object) -> None:
    """One request that leaves its model open is enough."""
    assert () == asked(MESSAGES, body)


def test_an_unknown_coding_tells_nothing() -> None:
    """Nor does one that it is not in."""
    raw = json.dumps({"requests": [one("a")]}).encode()
    assert [(), ()] == [asked(MESSAGES, raw, coding) for coding in ("odd", "gzip")]


def inline(*models: str | None, **more: Any) -> dict[str, Any]:
    """A batch of Gemini's with its requests in it."""
    asks = [{"request": {"contents": []} | ({"model": name} if name else {})} for name in models]
    return {"batch": {"inputConfig": {"requests": {"requests": asks}}, **more}}


def test_a_model_in_the_path_is_asked_with_all_that_is_named_besides() -> None:
    """The batch may name one, and so may each request."""
    assert ("gemini-2.5-pro",) == asked(GEMINI, inline(None, None))
    assert ("gemini-2.5-pro", "models/b") == asked(GEMINI, inline(None, model="models/b"))
    assert ("gemini-2.5-pro", "models/c") == asked(GEMINI, inline(None, "models/c"))


def test_a_tuned_models_path_is_no_way_round() -> None:
    """It is asked by its own name, also in a conversation; of a path that names none nothing is
    told, whatever the body says.
    """
    tuned = "/v1beta/tunedModels/mine"
    allowed = {"model": "models/a"}
    assert ("mine", "models/a") == asked(f"{tuned}:batchGenerateContent", inline(None, **allowed))
    body = json.dumps({**allowed, "contents": []}).encode()
    found = asked_of(Api.GEMINI, f"{tuned}:generateContent", body, "")
    assert ("mine", "models/a") == found.models
    assert () == asked("/v1beta/other/m:batchGenerateContent", inline(None, **allowed))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"batch": {"inputConfig": {"fileName": "files/f"}}},
        inline(),
        {"batch": inline("a")["batch"] | {"input_config": {"fileName": "files/f"}}},
        {"batch": {"inputConfig": {"requests": {"requests": [{"request": "a"}]}}}},
    ],
)
def test_of_requests_in_a_file_nothing_is_told(body: object) -> None:
    """What stands there may name another model."""
    assert () == asked(GEMINI, body)


def test_jobs_name_one_model() -> None:
    """In the member that this provider reads, and in no other."""
    assert ("publishers/google/models/g",) == asked(JOBS, {"model": "publishers/google/models/g"})
    assert ("m",) == asked("/model-invocation-job", {"modelId": "m", "model": "other"})
    assert () == asked("/model-invocation-job", {"model": "m"})
    assert () == asked(JOBS, {"model": ["g"]})


@pytest.mark.parametrize("path", ["/v1/batches", "/openai/v1/batches", "/v1beta/batches"])
def test_batches_whose_requests_are_elsewhere_tell_nothing(path: str) -> None:
    """Whatever stands beside the name of the file."""
    named = {"input_file_id": "file-1", "model": "a", "modelId": "a", "": "a"}
    assert makes_batch(path)
    assert () == asked(path, named | {"requests": [one("a")]})
