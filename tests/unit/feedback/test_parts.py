"""Reports as clients send them, and anything else that somebody may send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailee.errors import InputError
from bailee.feedback.draft import draft
from bailee.feedback.parts import LARGEST, PARTS, read
from bailee.vault.packing import pack, unpack

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["description", "transcript", "errors", "environment", "platform", "survey_response", "quince"]
)


def sent(content: Any) -> bytes:
    """The body around a content."""
    return json.dumps({"content": json.dumps(content)}).encode()


@pytest.mark.row("F1")
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda v: json.dumps(v).encode()))
def test_whatever_comes_is_a_report_or_refused(raw: bytes) -> None:
    """Any bytes: parts that can be packed, or an error that repeats nothing."""
    for body in (raw, json.dumps({"content": raw.decode("latin-1")}).encode()):
        try:
            parts = read(body)
        except InputError as error:
            assert error.code in ("invalid_request", "request_too_large")
        else:
            assert parts.keys() <= set(PARTS)


@pytest.mark.row("F1")
@given(st.dictionaries(NAMES | st.text(), JSON, max_size=6))
def test_every_object_is_kept_or_dropped_by_rule(content: dict[str, Any]) -> None:
    """What holds something becomes parts within their sizes, and nothing of a survey is in them."""
    try:
        parts = read(sent(content))
    except InputError:
        return
    for part, value in parts.items():
        packed = pack(value)
        assert len(packed) <= LARGEST[part]
        assert pack(unpack(packed)) == packed
    assert not any(
        name.startswith("survey")
        for part in ("transcript", "environment")
        for name in (parts.get(part) if isinstance(parts.get(part), dict) else ())  # type: ignore[union-attr]
    )


@pytest.mark.row("F1")
@pytest.mark.parametrize("part", ["environment", "transcript", "errors", "lastApiRequest"])
def test_a_survey_within_a_part_is_dropped(part: str) -> None:
    """Wherever a client puts the answer, it is not kept beside who reports."""
    within = {"survey": [], "survey_response": "good", "kept": "x"}
    kept = read(sent({"description": "d", part: within}))
    assert b"survey" not in pack(kept) and b"kept" in pack(kept)  # type: ignore[arg-type]
    assert {"description": "d"} == read(sent({"description": "d", part: {"survey": "good"}}))


@pytest.mark.row("F1")
def test_each_part_can_be_left_out() -> None:
    """What our client sends comes back as it was, whichever parts are there."""
    whole: dict[str, Any] = {
        "description": "it stops",
        "transcript": [{"role": "user", "content": "x"}],
        "errors": ["ValueError"],
        "environment": {"bailee": "0.1.0"},
    }
    for left_out in (*PARTS, None):
        content = {name: value for name, value in whole.items() if name != left_out}
        assert content == read(sent(content))
    for alone in PARTS:
        assert {alone: whole[alone]} == read(sent({alone: whole[alone]}))


@pytest.mark.row("F2")
@given(st.dictionaries(NAMES | st.text(), JSON, max_size=6), st.text(min_size=1))
def test_a_draft_never_holds_what_is_not_for_everybody(
    content: dict[str, Any], description: str
) -> None:
    """Whatever is sent: of transcript, errors and unknown fields nothing is in the draft, of the
    environment what is in the list.
    """
    mark = "quince-7f3a"
    content |= {
        "description": description,
        "transcript": [{"role": "user", "content": mark}],
        "errors": [mark],
        "lastApiRequest": mark,
        "environment": {"cwd": mark, "system": "Linux", "gitRepo": mark},
    }
    parts = read(sent(content))

    made = draft("orchard/public", parts.get("description"), parts.get("environment"))

    assert mark not in made.title + made.body + made.url
    assert "- system: Linux" in made.body


def test_half_a_character_does_not_keep_a_draft_from_being_made() -> None:
    """What a client cut within one is a question mark in the draft and in its address."""
    made = draft("o/n", "cut \ud83d", {"system": "Lin\ud83dux"})
    assert ("cut ?", True) == (made.title, "system: Lin?ux" in made.body)
    assert "cut%20%3F" in made.url


@pytest.mark.row("F2")
def test_secrets_are_masked_in_a_draft_and_again_when_it_is_edited() -> None:
    """In the text, in the environment, and in what whoever files it writes."""
    key = "ghp_" + "a1B2" * 9
    made = draft("o/n", f"my token {key} fails", {"model": key, "system": "Linux"})
    edited = made.edited(f"{made.title} {key}", f"{made.body}\n{key}")

    for text in (made.title, made.body, made.url, edited.title, edited.body, edited.url):
        assert key not in text
    assert ["GitHub token"] == [one.kind for one in made.removed]
