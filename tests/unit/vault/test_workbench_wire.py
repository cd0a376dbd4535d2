"""What the process answers is looked at before it is used: it read what strangers sent."""

from __future__ import annotations

import math

import pytest

from bailee.vault.packing import JSON
from bailee.vault.workbench import Apart, Packed
from bailee.vault.workbench_wire import apart_in, packed_in

PIECES = [b"", b"", b"", b""]
NO_HEADERS: list[JSON] = [None, 1, "apart missing packed", [], {}]


def test_an_answer_is_read() -> None:
    """What the others below differ from."""
    (apart,) = apart_in({"apart": [["s", {"input_tokens": 3}, 4, 5, 0.5]]}, PIECES)
    assert isinstance(apart, Apart)
    assert ("s", {"input_tokens": 3}, 4, 5, 0.5) == (
        *(apart.client_session, apart.usage),
        *(apart.values, apart.size, apart.seconds),
    )
    digest = b"d" * 16
    (packed,) = packed_in({"packed": [[[1, 2], 0.25]]}, [b"x", digest])  # type: ignore[misc]
    assert (Packed(b"x", {digest: (1, 2)}), 0.25) == (packed, packed.seconds)


@pytest.mark.parametrize(
    "header",
    [
        *NO_HEADERS,
        *({"apart": told} for told in (None, "x", {"a": 1}, [None], [["s", {}, 4, 0.1]])),
        *(
            {"apart": [told]}
            for told in (
                ["s", [], 4, 5, 0.1],
                [1, {}, 4, 5, 0.1],
                ["s", {}, "4", 5, 0.1],
                ["s", {}, 4, 5, 1],
                ["s", {}, 4, 5, -0.1],
                ["s", {}, 4, 5, 1e300],
                ["s", {}, 4, 5, math.nan],
            )
        ),
        {"apart": [["s", {"input_tokens": "3"}, 4, 5, 0.1]]},
    ],
)
def test_nothing_is_taken_apart_by_an_answer_of_another_form(header: JSON) -> None:
    """It is refused as misformed, and as nothing else."""
    with pytest.raises(ValueError):
        apart_in(header, PIECES)


@pytest.mark.parametrize(
    "header",
    [
        *NO_HEADERS,
        *(
            {"packed": told}
            for told in (
                None,
                "x",
                [None],
                [[[1], 0.1]],
                [[[1, "2"], 0.1]],
                [[[1, None], 0.1]],
                [[[1, 2]]],
                [[[1, 2], -1.0]],
                [[[1, 2], None]],
            )
        ),
        *({"missing": told} for told in (None, {"s": 1}, 3)),
    ],
)
def test_nothing_is_packed_by_an_answer_of_another_form(header: JSON) -> None:
    """As of what is taken apart."""
    with pytest.raises(ValueError):
        packed_in(header, [b"x", b"d" * 16])
