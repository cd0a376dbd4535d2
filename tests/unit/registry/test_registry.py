"""The registry: what an entry must say, and what the shipped one can't let through."""

from __future__ import annotations

from datetime import date

import pytest

from bailee.errors import InputError
from bailee.registry import load, read
from bailee.registry.values import OTHER

_HEAD = 'format = "bailee-registry/1"\n'
_ABOUT = 'description = "d"\nsensitivity = "technical"\nowner = "o"\nexpires = 2030-01-01\n'


def test_every_shipped_entry_says_what_it_is_and_until_when() -> None:
    """Name, description, sensitivity, owner and a day of expiry, for each field and measure."""
    registry = load()

    entries = [*registry.fields.values(), *registry.measures.values()]
    assert len(entries) > 50
    for entry in entries:
        assert entry.description and entry.owner
        assert entry.sensitivity in ("technical", "interaction")
        assert entry.expires > date(2026, 1, 1)


@pytest.mark.parametrize(
    "content",
    [
        "/home/ada/project/secret.py",
        "C:\\Users\\ada\\x.txt",
        "ada@example.com",
        "Ada Lovelace",
        "adas-macbook.local",
        "def steal(): pass",
        "please write me a poem",
        "sk-ant-REDACTED",
        "10.0.0.7",
        "acme-internal-tool",
        "claude-opus-4-acme",
        "claude-sonnet-4-5-20250929; rm -rf",
        "bailee@1.0 /home/ada",
        "1.2.3-acme",
        "1.2.3\n",
        "1٣",
        "bailee@1.2.3\nx",
        "x" * 10_000,
    ],
)
def test_no_shipped_field_lets_content_through(content: str) -> None:
    """A path, a name, an address, code, a prompt or a key is refused by every field of text, or
    becomes the word "other".
    """
    for field in load().fields.values():
        assert field.kind.check(content) in (None, OTHER), field.name


@pytest.mark.parametrize("value", [None, [], {}, [1], {"a": "b"}, b"x", float("nan"), 10**400])
def test_no_shipped_field_takes_what_is_no_plain_value(value: object) -> None:
    """Lists, maps, bytes, nothing and what is no finite number."""
    for field in load().fields.values():
        assert field.kind.check(value) is None, field.name


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", "format"),
        ("\x00", "TOML"),
        (_HEAD + "[[field]]\nname='x'\ntype='boolean'\n", "no description"),
        (_HEAD + "[[field]]\nname='x'\ntype='text'\n" + _ABOUT, "type is not one of"),
        (_HEAD + "[[field]]\nname='x y'\ntype='boolean'\n" + _ABOUT, "odd characters"),
        (_HEAD + "[[field]]\nname='x'\ntype='enum'\n" + _ABOUT, "without values"),
        (_HEAD + "[[field]]\nname='x'\ntype='number'\n" + _ABOUT, "without min and max"),
        (_HEAD + "[[field]]\nname='x'\ntype='pattern'\npattern='('\n" + _ABOUT, "pattern"),
        (
            _HEAD + "[[field]]\nname='x'\ntype='boolean'\n" + _ABOUT.replace("technical", "secret"),
            "sensitivity",
        ),
        (_HEAD + "[[measure]]\nname='x'\nkind='counter'\nattributes=['y']\n" + _ABOUT, "'y'"),
        (
            _HEAD + "[[field]]\nname='x'\ntype='boolean'\n" + _ABOUT + "[refused]\nx='why'\n",
            "declared and refused",
        ),
    ],
)
def test_a_malformed_entry_is_refused_with_its_name(document: str, says: str) -> None:
    """The error says which entry is wrong and what about it."""
    with pytest.raises(InputError, match="registry") as refused:
        read(document.encode())

    assert says in refused.value.message
