"""Lines of TOML values."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bailee.policy.positions import Path, line_of, lines

TEXT = '''\
# a comment with a = sign and [brackets]
top = "first" # and [another]
"quoted key".'lit eral' = 1
multi = """
[not.a.table]
x = 1 \\""" still
"""
long = \'\'\'
[[nor.this]]\'\'\'
[a . "b.c"]
date = 2025-08-28
when = 2025-08-28 10:00:00
list = [
  1, # one
  { x = 1, y.z = "}" },
  ["]", []],
]
[[many]]
id = 1
[many.inner]
deep = true
[[many]]
id = 2
[[many.inner2]]
v = +1_000
[[many.inner2]]
v = """a""""
'''


def paths(value: Any, path: Path = ()) -> list[Path]:
    """Every path of a parsed document."""
    found = [path]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths(inner, (*path, index))
    return found


def test_every_value_has_its_line() -> None:
    """Each value is found, and on the line it stands on."""
    found = lines(TEXT)
    assert set(paths(tomllib.loads(TEXT))) >= set(found)
    written = TEXT.splitlines()
    for path, start in {
        ("top",): "top =",
        ("quoted key", "lit eral"): '"quoted key"',
        ("multi",): "multi =",
        ("a", "b.c"): '[a . "b.c"]',
        ("a", "b.c", "when"): "when =",
        ("a", "b.c", "list", 0): "  1,",
        ("a", "b.c", "list", 1, "y", "z"): "  { x",
        ("a", "b.c", "list", 2, 1): '  ["]"',
        ("many", 0, "inner", "deep"): "deep",
        ("many", 1, "id"): "id = 2",
        ("many", 1, "inner2", 0, "v"): "v = +1_000",
        ("many", 1, "inner2", 1, "v"): 'v = """a""""',
    }.items():
        assert written[line_of(path, found) - 1].startswith(start), path


def test_lines_are_the_same_with_other_line_ends() -> None:
    """A document from another system has the same lines."""
    assert lines(TEXT) == lines(TEXT.replace("\n", "\r\n"))


def test_the_shipped_document_is_found_whole(shipped: str) -> None:
    """Every pair of the shipped document has the line that it is written on."""
    found, written = lines(shipped), shipped.splitlines()
    every = paths(tomllib.loads(shipped))
    assert set(every) >= set(found)
    for path in every[1:]:
        if isinstance(path[-1], str):
            assert path[-1] in written[line_of(path, found) - 1], path


KEYS = st.text(st.sampled_from("ab-_1.\"'\\ =[]#é"), min_size=1, max_size=4)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-999, 999),
    st.dates(),
    st.text(st.sampled_from("ab\"'\\ =[]{}#,\n\t"), max_size=12),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def basic(text: str) -> str:
    """A string as TOML writes it."""
    return '"' + "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in text) + '"'


def inline(value: Any) -> str:
    """A value as TOML writes it, on one line but for arrays."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        literal = "'" not in value and "\n" not in value
        if "'''" not in value and not value.endswith("'") and "\n" in value:
            return f"'''\n{value}'''"
        return f"'{value}'" if literal else basic(value)
    if isinstance(value, list):
        return "[\n" + "".join(f"  {inline(one)}, # [x]\n" for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{basic(k)} = {inline(v)}" for k, v in value.items()) + "}"
    return str(value)


@given(
    st.dictionaries(
        KEYS.map(lambda key: f"k{key}"), st.dictionaries(KEYS, VALUES, max_size=3), max_size=4
    ),
    st.lists(st.dictionaries(KEYS, VALUES, max_size=3), max_size=3),
)
def test_any_document_is_found_whole(tables: dict[str, Any], array: list[Any]) -> None:
    """Whatever TOML holds, the walk finds the values that tomllib finds, and lines go upwards."""
    text = ""
    for name, table in tables.items():
        text += f"[{basic(name)}]\n"
        text += "".join(f"{basic(k)} = {inline(v)} # c\n" for k, v in table.items())
    for table in array:
        text += "[[array]]\n" + "".join(f"{basic(k)} = {inline(v)}\n" for k, v in table.items())
    found = lines(text)
    parsed = paths(tomllib.loads(text))
    assert set(parsed) >= set(found) >= {path for path in parsed if len(path) < 3}
    said = [line_of(path, found) for path in parsed]
    assert sorted(said) == said
