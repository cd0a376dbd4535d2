"""A long value is sealed in steps: the bytes are what one call makes, and no step is long."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailee.errors import IntegrityError
from bailee.keyring.wrapping import (
    STEP,
    associated,
    cipher,
    dek_data,
    seal,
    sealed_parts,
    unseal,
)

pytestmark = pytest.mark.row("G1")
KEY, NONCE = bytes(range(32)), b"n" * 12
SIZES = [0, 1, STEP, STEP + 1, 2 * STEP, 3 * STEP + 5]


@pytest.mark.parametrize("size", SIZES)
def test_the_bytes_are_those_of_one_call(size: int) -> None:
    """Sealed in steps and opened in one call, and the other way round."""
    value = bytes(n % 251 for n in range(size))
    in_one_call = NONCE + AESGCM(KEY).encrypt(NONCE, value, b"place")
    assert in_one_call == seal(KEY, value, b"place", NONCE)
    assert value == unseal(KEY, in_one_call, b"place", "it")
    assert value == unseal(cipher(KEY), memoryview(in_one_call), b"place", "it")


def test_several_values_are_sealed_as_one_and_no_step_is_long() -> None:
    """Each part is short, whatever the values are, and together they are what one makes."""
    values = (b"head", b"x" * (2 * STEP + 3), b"")
    parts = sealed_parts(KEY, values, b"place", NONCE)
    assert max(map(len, parts)) <= STEP
    assert seal(KEY, b"".join(values), b"place", NONCE) == NONCE + b"".join(parts)


@pytest.mark.parametrize("at", [0, 12, STEP, -1], ids=["nonce", "begin", "middle", "tag"])
def test_a_long_value_that_was_changed_is_not_opened(at: int) -> None:
    """Nothing of it is given out: any byte, another place, or a piece that is missing."""
    sealed = bytearray(seal(KEY, b"x" * 2 * STEP, b"place", NONCE))
    for changed, data in (
        (bytes(sealed), b"elsewhere"),
        (bytes(sealed[:-1]), b"place"),
        (bytes(sealed[:at]) + bytes([sealed[at] ^ 1]) + bytes(sealed[at:][1:]), b"place"),
    ):
        with pytest.raises(IntegrityError, match="does not authenticate"):
            unseal(KEY, changed, data, "it")


def test_what_a_keys_wrap_is_bound_to_is_the_list_of_its_parts() -> None:
    """However it is put together: wraps from before open."""
    parts = "bailee/dek/1", "session:é", "kek", "transcript", 3
    assert associated(*parts) == dek_data(*parts[1:])
