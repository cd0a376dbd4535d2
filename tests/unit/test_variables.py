"""A mistyped variable of the environment is told from those that somebody reads."""

from __future__ import annotations

import re
from pathlib import Path

from bailee.config import SETTINGS, load
from bailee.variables import OTHERS, UnreadVariable, unread

SRC = Path(__file__).parents[2] / "src"


def found(*names: str, file: Path = Path("/nowhere/bailee.toml")) -> list[UnreadVariable]:
    """Of variables of these names those that nobody reads."""
    return [*unread(dict.fromkeys(names, "a secret"), load(file, {}, {}))]


def test_a_mistyped_variable_is_told_with_the_one_that_was_meant() -> None:
    """One that is near to none is told all the same; what is not ours is nobody's business."""
    assert [
        UnreadVariable("BAILEE_GATEWAY_LISTN", "BAILEE_GATEWAY_LISTEN"),
        UnreadVariable("BAILEE_KEYRING_DATBASE_URL", "BAILEE_KEYRING_DATABASE_URL"),
        UnreadVariable("BAILEE_ZZ", None),
    ] == found("BAILEE_ZZ", "BAILEE_GATEWAY_LISTN", "BAILEE_KEYRING_DATBASE_URL", "HOME", "BAILEEX")


def test_what_somebody_reads_is_not_told() -> None:
    """Settings, what commands read, and what Kubernetes makes for a service called bailee."""
    made = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8787_TCP")
    made = (*made, *(f"PORT_8787_TCP_{part}" for part in ("PROTO", "PORT", "ADDR")))

    assert [] == found(*(setting.variable for setting in SETTINGS), *OTHERS)
    assert [] == found(*(f"BAILEE{more}_{one}" for one in made for more in ("", "_CONSOLE")))


def test_a_variable_that_a_setting_names_is_read(tmp_path: Path) -> None:
    """A token or a key may be in a variable of any name."""
    file = tmp_path / "bailee.toml"
    file.write_text('[feedback]\ngithub_token_env = "BAILEE_GITHUB_TOKEN"\n')

    assert [] == found("BAILEE_GITHUB_TOKEN", file=file)
    assert ["BAILEE_GITHUB_TOKEN"] == [one.name for one in found("BAILEE_GITHUB_TOKEN")]


def test_names_of_others_are_one_line_and_not_endless() -> None:
    """Whoever sets the environment may not write into the log what they like."""
    told = found(*(f"BAILEE_X{number}\nforged" for number in range(100)), "BAILEE_" + "Y" * 1000)

    assert 20 == len(told)
    assert all(one.name.isprintable() and len(one.name) <= 90 for one in told)


def test_each_variable_that_the_code_names_is_known() -> None:
    """One that is read somewhere and is not in the list would be called unread."""
    known = {setting.variable for setting in SETTINGS} | OTHERS
    named = {
        name
        for path in SRC.rglob("*.py")
        for name in re.findall(r'"(BAILEE_[A-Z_]*[A-Z])"', path.read_text())
    }

    assert {"BAILEE_CLIENT"} == named - known  # what three of them begin with
    assert OTHERS - named <= {f"BAILEE_CLIENT_{part}" for part in ("CERT", "KEY")}
