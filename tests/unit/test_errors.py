"""bailee.errors: one table says how every error looks from outside."""

from __future__ import annotations

import pytest

from bailee.errors import (
    CODES,
    BaileeError,
    InputError,
    IntegrityError,
    PolicyDenied,
    StorageError,
    UpstreamError,
)

FAMILIES = [InputError, PolicyDenied, UpstreamError, IntegrityError, StorageError]

# The error types that the Messages API documents; clients know no others.
API_TYPES = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "billing_error",
    "api_error",
    "overloaded_error",
    "timeout_error",
}


@pytest.mark.parametrize("name", CODES)
def test_every_code_has_an_api_type_that_clients_know(name: str) -> None:
    """Every code answers with an error type of the Messages API."""
    assert CODES[name].api_type in API_TYPES


@pytest.mark.parametrize("name", CODES)
def test_every_code_is_an_http_error_and_a_failure(name: str) -> None:
    """No code answers with a good HTTP status or ends a command with exit status 0."""
    code = CODES[name]

    explained = code.exit_status in {1, 2, 3, 4, 5, 6, 8}
    assert (True, True) == (400 <= code.http_status <= 599, explained)


@pytest.mark.parametrize("name", CODES)
def test_every_meaning_is_one_sentence(name: str) -> None:
    """Every code says in one sentence what it means."""
    meaning = CODES[name].meaning

    assert (".", 1) == (meaning[-1], meaning.count(".") + meaning.count("?"))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_default_code_of_the_table(family: type[BaileeError]) -> None:
    """An error made without a code carries its family's own."""
    assert family.default_code == family("It failed.").code


@pytest.mark.parametrize(
    ("family", "exit_status"), list(zip(FAMILIES, [2, 3, 4, 5, 6], strict=True))
)
def test_a_family_says_who_must_act_by_its_exit_status(
    family: type[BaileeError], exit_status: int
) -> None:
    """Families end the command line with 2, 3, 4, 5 and 6, in the order of the table."""
    assert exit_status == family("It failed.").exit_status


def test_a_code_outside_the_table_cannot_be_raised() -> None:
    """An unknown code is a defect of the caller, found at once."""
    with pytest.raises(ValueError, match="unknown error code 'tea_break'"):
        InputError("It failed.", code="tea_break")


def test_api_body_has_the_shape_of_the_messages_api() -> None:
    """The body says that it is an error, its type, what happened and what to do."""
    error = InputError("There is no such key.", code="authentication", hint="make one")

    assert {
        "type": "error",
        "error": {
            "type": "authentication_error",
            "message": "bailee: There is no such key. hint: make one",
        },
        "request_id": "req_1",
    } == error.api_body("req_1")


def test_api_body_leaves_out_what_is_not_known() -> None:
    """Without a hint and a request id the body holds neither."""
    assert {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "bailee: The disk is full."},
    } == StorageError("The disk is full.").api_body()
