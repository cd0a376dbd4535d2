"""Every fault of a request has its rule, and a service's own words are understood."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.agent.faults import (
    LONGEST,
    RULES,
    Fault,
    ModelFault,
    Without,
    of_answer,
    remedy,
    retry_after,
    wait,
)
from bailee.errors import CODES, InputError, UpstreamError

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("fault", get_args(Fault))
def test_each_fault_has_a_rule_a_family_and_something_to_do(fault: Fault) -> None:
    """Exit status 4 is the upstream's, 2 the person's; a person's is not asked for again."""
    error = ModelFault(fault, "quince").error

    family = {4: UpstreamError, 2: InputError}[CODES[RULES[fault].code].exit_status]
    assert family is type(error)
    assert error.hint
    assert RULES[fault].tries == 1 or isinstance(error, UpstreamError)


@given(
    st.sampled_from(get_args(Fault)),
    st.integers(1, 10),
    st.none() | st.floats(0, 1e9),
    st.floats(0, 1),
)
def test_a_wait_is_the_services_own_or_short_and_there_is_an_end(
    fault: Fault, attempt: int, after: float | None, drawn: float
) -> None:
    """Nobody sleeps longer than the bound, and after so many tries nobody asks again."""
    seconds = wait(ModelFault(fault, after=after), attempt, drawn)

    if attempt >= RULES[fault].tries or (after is not None and after > LONGEST):
        assert seconds is None
    elif after:
        assert after == seconds
    else:
        assert seconds is not None
        assert 0.3 <= seconds <= 16


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7200"}, 7200.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90))}, 90.0),
        ({"retry-after": format_datetime(NOW - timedelta(days=1))}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "٣"}, None),
        ({}, None),
    ],
)
def test_a_services_delay_is_read_in_each_form(
    headers: dict[str, str], seconds: float | None
) -> None:
    """Milliseconds, seconds, a date; what is none of them is no delay."""
    assert seconds == retry_after(headers, NOW)


TOO_LONG = (
    "prompt is too long: 213462 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 190000 + 16000 > 200000, decrease input",
    "Input is too long for requested model.",
    "This model's maximum context length is 8192 tokens",
    "the request exceeds the available context size. try increasing the context size",
)


@pytest.mark.parametrize(
    ("status", "kind", "said", "fault"),
    [
        *((400, "invalid_request_error", said, "too_long") for said in TOO_LONG),
        (None, "validationException", TOO_LONG[2], "too_long"),
        (413, "request_too_large", "", "too_long"),
        (400, "invalid_request_error", "odd", "refused"),
        (401, "authentication_error", "", "key"),
        (403, "permission_error", "", "forbidden"),
        (404, "not_found_error", "", "unknown"),
        (302, "", "", "redirected"),
        (200, "", "", "unreadable"),
        (429, "rate_limit_error", "", "busy"),
        (429, "ThrottlingException", "Too many tokens, please wait", "busy"),
        (500, "api_error", "", "failing"),
        (503, "", "", "overloaded"),
        (529, "overloaded_error", "", "overloaded"),
        (None, "overloaded_error", "", "overloaded"),
        (None, "rate_limit_error", "", "busy"),
        (None, "api_error", "", "failing"),
        (None, "throttlingException", "", "busy"),
        (None, "something_new", "", "failing"),
    ],
)
def test_a_services_error_is_one_fault(
    status: int | None, kind: str, said: str, fault: Fault
) -> None:
    """By its status, or within a stream by its type; too long a conversation in anybody's words."""
    assert fault == of_answer(status, kind, said).fault


def test_a_service_may_say_whether_to_ask_again() -> None:
    """`x-should-retry` has the last word, as with the vendor's SDK."""
    assert "given_up" == of_answer(429, "", "", {"x-should-retry": "false"}).fault
    assert "failing" == of_answer(400, "", "", {"x-should-retry": "true"}).fault
    assert "key" == of_answer(401, "", "", {"x-should-retry": "false"}).fault


@pytest.mark.parametrize(
    ("said", "without"),
    [
        ("tools.1.custom.input_schema: input_schema does not support anyOf", Without(tool="b")),
        ("tools.7.name: too long", None),
        ("messages.0.content.1.image.source.base64.data: Could not process image",
         Without(part="images")),
        ("messages.3.content.0: Invalid `signature` in `thinking` block", Without(part="thinking")),
        ("max_tokens: 16000 > 8192", None),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(said: str, without: Without | None) -> None:
    """A tool by its place, images, thinking; nothing else is taken out."""
    assert without == remedy(said, ["a", "b"])
