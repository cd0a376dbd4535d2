"""Settings: which source wins, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bailee.config import SETTINGS, load, parse_address
from bailee.errors import InputError


def test_the_nearest_source_wins_and_is_named(tmp_path: Path) -> None:
    """Command line before environment before file before default; each says where it came from."""
    file = tmp_path / "bailee.toml"
    file.write_text('[gateway]\nlisten = "127.0.0.1:1"\n[console]\nlisten = "127.0.0.1:2"\n')

    settings = load(
        file,
        {"BAILEE_CONSOLE_LISTEN": "127.0.0.1:3", "BAILEE_UPSTREAM_URL": "http://127.0.0.1:9"},
        {"upstream.url": "http://127.0.0.1:8", "policy.document": None},
    )

    assert {
        "gateway.listen": ("127.0.0.1:1", str(file)),
        "console.listen": ("127.0.0.1:3", "environment BAILEE_CONSOLE_LISTEN"),
        "upstream.url": ("http://127.0.0.1:8", "command line"),
        "policy.document": (None, "default"),
    } == {
        name: (settings.values[name], settings.origin[name])
        for name in ("gateway.listen", "console.listen", "upstream.url", "policy.document")
    }


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('[gateway]\nlissten = "x"', "gateway.lissten"),
        ("[retention]\nevery_minutes = 0", "retention.every_minutes"),
        ("[retention]\nevery_minutes = 26", "retention.every_minutes"),
        ("[retention]\nevery_minutes = true", "retention.every_minutes"),
        ("[gateway]\nlisten = 8787", "gateway.listen"),
        ("[gateway\n", "not TOML"),
        ("colour = 1", "colour"),
    ],
)
def test_a_mistake_in_the_file_is_refused_with_its_place(
    tmp_path: Path, content: str, says: str
) -> None:
    """An unknown name, a wrong kind, a broken file: never a guess."""
    file = tmp_path / "bailee.toml"
    file.write_text(content)

    with pytest.raises(InputError) as refused:
        load(file, {}, {})

    assert "configuration" == refused.value.code
    assert says in refused.value.message
    assert str(file) in refused.value.message


def test_a_wrong_number_in_the_environment_names_the_variable() -> None:
    """The message names the variable, so that the right thing is mended."""
    with pytest.raises(InputError, match="BAILEE_RETENTION_EVERY_MINUTES"):
        load(Path("/nonexistent"), {"BAILEE_RETENTION_EVERY_MINUTES": "soon"}, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_addresses_are_read(text: str, expected: tuple[str, int]) -> None:
    """Host and port, brackets around IPv6."""
    assert expected == parse_address(text, "gateway.listen")


@pytest.mark.parametrize("text", ["8787", ":1", "127.0.0.1:", "127.0.0.1:70000", "h:x", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    """Half an address is an error, not a default."""
    with pytest.raises(InputError):
        parse_address(text, "gateway.listen")


def test_every_setting_says_what_it_means() -> None:
    """No setting without a meaning, no name twice."""
    assert all(setting.meaning.endswith(".") for setting in SETTINGS)
    assert len(SETTINGS) == len({setting.name for setting in SETTINGS})


def test_no_setting_is_what_a_persons_client_reads() -> None:
    """Where a client finds console and ingest says nothing of a server's public addresses."""
    variables = [setting.variable for setting in SETTINGS]

    assert len(set(variables)) == len(variables)
    assert not {"BAILEE_CONSOLE_URL", "BAILEE_INGEST_URL", "BAILEE_API_KEY"} & set(variables)
