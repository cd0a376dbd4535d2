import json

import pytest

from bailee.cli.answers import fields, fields_of
from bailee.errors import UpstreamError
from bailee.json_values import Json

ANSWER: Json = {"id": "s1", "count": 2, "next": None, "terms": {"plan": "pro"}, "to_come": ["a"]}


def test_an_answer_is_read_by_name() -> None:
    """Each field has the kind that it is asked for as, and the whole prints as it came."""
    found = fields(ANSWER)
    assert ("s1", 2, None) == (found.text("id"), found.number("count"), found["next"])
    assert "pro" == found.part("terms").text("plan")
    assert ["a"] == found.texts("to_come")
    assert json.dumps(ANSWER) == json.dumps(found)


@pytest.mark.parametrize("name", ["absent", "next", "count", "terms"])
def test_an_answer_of_another_version_is_refused(name: str) -> None:
    """What is not there, or of another kind, is the server's error and names what was missed."""
    with pytest.raises(UpstreamError, match=name) as raised:
        fields(ANSWER).text(name)
    assert "version" in (raised.value.hint or "")


@pytest.mark.parametrize("value", [None, "s1", [{"id": "s1"}]])
def test_an_object_is_one(value: Json) -> None:
    """What is no object is refused, alone and in a list."""
    with pytest.raises(UpstreamError):
        fields(value)
    with pytest.raises(UpstreamError):
        fields_of([{}, value])
