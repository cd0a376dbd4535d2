"""Secrets and personal data don't come out, however they stood in what was said."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import random
import re
import resource
import string
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bailee.training.dataset import Row
from bailee.training.finding import Finder
from bailee.training.rows import conversation
from bailee.training.scrubbing import WHOLE_TEXT, masked
from bailee.vault.packing import JSON
from support.homes.conversations import Asked, answered, exported, text, user

Encoding = Callable[[str], str]

LETTERS: Final = string.ascii_letters + string.digits


def run(seed: int, size: int, letters: str = LETTERS) -> str:
    """Characters of chance, always the same for a seed."""
    return "".join(random.Random(seed).choices(letters, k=size))


SECRETS: Final[dict[str, Callable[[int], str]]] = {
    "Anthropic": lambda seed: f"sk-ant-api03-{run(seed, 93)}AA",
    "GitHub": lambda seed: f"ghp_{run(seed, 36)}",
    "AWS": lambda seed: "AKIA" + run(seed, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    "Slack": lambda seed: f"xoxb-{run(seed, 12, string.digits)}-{run(seed, 24)}",
    "Stripe": lambda seed: f"sk_live_{run(seed, 24)}",
    "Google": lambda seed: f"AIza{run(seed, 35)}",
    "JWT": lambda seed: f"eyJhbGciOiJIUzI1NiJ9.{run(seed, 40)}.{run(seed + 1, 43)}",
    "private key": lambda seed: (
        "-----BEGIN RSA PRIVATE KEY-----\n"
        + "\n".join(run(seed + line, 64) for line in range(6))
        + "\n-----END RSA PRIVATE KEY-----"
    ),
    "address": lambda seed: f"postgres://app:{run(seed, 16)}@db.internal:5432/app",
    "email": lambda seed: f"{run(seed, 8).lower()}@{run(seed + 1, 6).lower()}.org",
}


def within_json(value: str) -> str:
    """As it stands in a file of JSON that a tool has read."""
    return json.dumps({"note": "x", "value": f"line\n{value}\n"}, indent=1)


def in_base64(value: str) -> str:
    """As a tool encodes a file."""
    return base64.b64encode(f"KEY={value}\nmore: text\n".encode()).decode()


def wrapped(value: str) -> str:
    """The same, in lines of 76."""
    return re.sub("(.{76})", r"\1\n", in_base64(value + " " * 60))


def percent(value: str) -> str:
    """As in the query of an address."""
    return f"https://api.example.com/?q=1&key={quote(value, safe='')}&then=2"


def escaped(value: str) -> str:
    """Every character as an escape of JSON."""
    return 'said "' + "".join(f"\\u{ord(one):04x}" for one in value) + '" there'


ENCODINGS: Final[dict[str, Encoding]] = {
    "plain": lambda value: f"Use {value} for it.",
    "code": lambda value: f'client = Client("{value}")\n',
    "json": within_json,
    "json in json": lambda value: json.dumps({"content": within_json(value)}),
    "base64": in_base64,
    "base64 in lines": wrapped,
    "base64 twice": lambda value: in_base64(in_base64(value)),
    "hexadecimal": lambda value: f"KEY {value} ".encode().hex(),
    "percent": percent,
    "escapes": escaped,
    "after NUL": lambda value: f"\0 {value}",
}


def a_row(said: str, given: JSON = None) -> Row:
    """A row in which something was said: by a person, in a call, by a tool, in a thought."""
    call: JSON = {"type": "tool_use", "id": "t1", "name": "Write", "input": {"content": said}}
    if given is not None:
        call = {"type": "tool_use", "id": "t1", "name": "Write", "input": given}
    messages: list[JSON] = [
        user([text(said)]),
        {"role": "assistant", "content": [{"type": "thinking", "thinking": said}, call]},
        user([{"type": "tool_result", "tool_use_id": "t1", "content": said}]),
    ]
    fields: dict[str, JSON] = {"system": said, "tools": [{"name": "Write", "description": said}]}
    return conversation(exported(Asked(messages, answered(text("Done.")), fields)))[0]


def everything(row: Row) -> str:
    """All that goes out of a row."""
    return repr(row)


def decoded(content: str) -> str:
    """What decoders would read of it: escapes and percent-encoding undone, base64 opened."""
    from urllib.parse import unquote

    opened = [content, unquote(content)]
    opened.append(re.sub(r"\\+u([0-9a-f]{4})", lambda one: chr(int(one[1], 16)), content))
    for found in re.findall(r"[A-Za-z0-9+/]{20,}={0,2}", content.replace("\\n", "")):
        opened.append(
            base64.b64decode(found[: len(found) & ~3], validate=False).decode("utf-8", "replace")
        )
    return "\n".join(opened)


@pytest.mark.row("T7")
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", SECRETS)
def test_a_planted_secret_does_not_come_out(kind: str, encoding: str) -> None:
    """Not in a message, a call, a thought, a tool or a block, and not for who decodes them."""
    value = SECRETS[kind](len(kind))
    core = value.split(":")[2].split("@")[0] if kind == "address" else value

    clean, counts = masked(a_row(ENCODINGS[encoding](value)))

    for line in core.split("\n")[1:-1] or [core]:
        assert line not in decoded(everything(clean)), f"{kind} as {encoding}"
    assert counts.total() >= 4
    assert "assistant" in everything(clean)


@pytest.mark.row("T7")
@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**9),
    kind=st.sampled_from(sorted(SECRETS)),
    first=st.sampled_from(sorted(ENCODINGS)),
    around=st.text(max_size=30),
)
@example(seed=1, kind="GitHub", first="json in json", around='"\\')
def test_no_planted_secret_comes_out_whatever_stands_around(
    seed: int, kind: str, first: str, around: str
) -> None:
    """Between lines of any text, in any encoding that is known."""
    value = SECRETS[kind](seed)
    core = value.split(":")[2].split("@")[0] if kind == "address" else value

    clean, _ = masked(a_row(f"{around}\n{ENCODINGS[first](value)}\n{around}"))

    for line in core.split("\n")[1:-1] or [core]:
        assert line not in decoded(everything(clean))


@pytest.mark.row("T7")
@pytest.mark.parametrize("width", [24, 40, 80])
def test_a_secret_that_is_broken_over_lines_goes_whole(width: int) -> None:
    """As a terminal breaks it, or a program with a backslash."""
    value = SECRETS["Anthropic"](7)
    pieces = [value[start : start + width] for start in range(0, len(value), width)]
    for between in ("\n", "\\\n  ", "\n | "):
        clean, _ = masked(a_row(f"The key: {between.join(pieces)}\nThat is all."))
        assert not [one for one in pieces if len(one) > 8 and one in everything(clean)]
        assert "That is all." in everything(clean)


@pytest.mark.row("T7")
def test_the_same_value_has_the_same_mask_in_a_row() -> None:
    """Who is who can still be told, and nothing else."""
    clean, counts = masked(
        a_row("ada@lovelace.org wrote to bob@babbage.org, and Ada@Lovelace.org wrote again.")
    )
    assert "[EMAIL_1] wrote to [EMAIL_2], and [EMAIL_1] wrote again." == clean.messages[1].content
    assert {"email"} == set(counts)
    assert [("email", counts["email"])] == [(one.rule, one.count) for one in clean.masked]


PERSONAL: Final = {
    "+49 30 901820-0": "PHONE",
    "(415) 555-2671": "PHONE",
    "13912345678": "PHONE",
    "DE89 3704 0044 0532 0130 00": "IBAN",
    "GB29NWBK60161331926819": "IBAN",
    "4111 1111 1111 1111": "CARD",
    "378282246310005": "CARD",
    "93.184.216.34": "IP",
    "2606:2800:220:1:248:1893:25c8:1946": "IP",
    "/home/lovelace/notes": "USER",
    "C:\\Users\\Lovelace\\notes": "USER",
}


@pytest.mark.row("T7")
@pytest.mark.parametrize("value", PERSONAL)
def test_personal_data_is_masked_by_its_form(value: str) -> None:
    """Numbers with their check digits, addresses, names in paths; in JSON arguments too."""
    clean, _ = masked(a_row(f"It is {value}.", {"where": [value], value: 1}))
    (call,) = clean.messages[2].tool_calls
    assert value not in everything(clean)
    assert "lovelace" not in everything(clean).lower()
    assert f"[{PERSONAL[value]}_1]" in clean.messages[1].content
    assert f"[{PERSONAL[value]}_1]" in str(json.loads(call.arguments))


@pytest.mark.row("T7")
@pytest.mark.parametrize(
    "said",
    [
        "version 1.2.3 at 12:34:56 in std::vector, commit 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad6",
        "git@github.com:org/name and 127.0.0.1:8080 and 192.168.1.1",
        "1700000000000 and 1234567890123456 are no cards; x[1:2, 3:4]",
        "def f(token: str) -> None: ...",
        "/home/user/project and /Users/Shared",
        "the quick brown fox jumps over the lazy dog",
        "uuid 123e4567-e89b-12d3-a456-426614174000",
    ],
)
def test_what_only_looks_like_it_stays(said: str) -> None:
    """Code that is masked where nothing was is of no use to a trainer."""
    row = a_row(said)
    clean, counts = masked(row)
    assert row.messages == clean.messages
    assert not counts


@pytest.mark.row("T7")
def test_a_number_in_arguments_is_masked_and_stays_json() -> None:
    """A card's number may be no text at all."""
    clean, _ = masked(a_row("Pay.", {"card": 4111111111111111, "amount": 12, "password": "Sommer"}))
    (call,) = clean.messages[2].tool_calls
    assert {"card": "[CARD_1]", "amount": 12, "password": "[SECRET_1]"} == json.loads(
        call.arguments
    )


@pytest.mark.row("T7")
def test_a_word_that_is_also_a_password_stays_a_word_elsewhere() -> None:
    """Masked where it is given as one; the same word in a sentence is not."""
    clean, _ = masked(a_row('password = "content"\nThe content of the file.'))
    assert "The content of the file." in clean.messages[1].content
    assert '"content"' not in clean.messages[1].content


@pytest.mark.row("T7")
def test_an_account_s_own_address_is_masked_in_any_letters() -> None:
    """Also one that has no domain that others know."""
    clean, _ = masked(a_row("By ADA@localhost."), Finder(["ada@localhost"]))
    assert "By [EMAIL_1]." == clean.messages[1].content


@pytest.mark.row("T7")
def test_a_text_full_of_secrets_goes_whole() -> None:
    """A dump of a thousand passwords is no conversation, and takes no hours."""
    dump = "\n".join(f"PASSWORD_{n}={run(n, 20)}" for n in range(1_200))
    clean, _ = masked(a_row(dump))
    assert WHOLE_TEXT == clean.messages[1].content
    assert "PASSWORD_1199" not in everything(clean)


@pytest.mark.row("T7")
def test_what_is_too_long_to_look_into_goes() -> None:
    """A megabyte of base64 could be anything."""
    blob = base64.b64encode(random.Random(1).randbytes(1 << 20)).decode()
    clean, _ = masked(a_row(f"Read:\n{blob}\nDone."))
    assert "Read:\n[OPAQUE_1]\nDone." == clean.messages[1].content


def test_what_is_long_takes_a_multiple_of_its_length() -> None:
    """A megabyte of base64 in two dozen spellings is looked for in less than a gigabyte: a table
    with a row for each character of them takes four.
    """
    row = a_row(base64.b64encode(random.Random(1).randbytes(1 << 20)).decode())

    def bounded() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + (1 << 30)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        os._exit(0 if masked(row)[0].messages[1].content == "[OPAQUE_1]" else 1)

    process = multiprocessing.get_context("fork").Process(target=bounded)
    process.start()
    process.join()
    assert 0 == process.exitcode


@pytest.mark.row("T7")
def test_masking_what_is_masked_changes_nothing() -> None:
    """Masks are no secrets."""
    clean, _ = masked(a_row(f"Use {SECRETS['Anthropic'](1)} of ada@lovelace.org."))
    again, counts = masked(clean)
    assert clean.messages == again.messages
    assert not counts
