from hypothesis import given
from hypothesis import strategies as st

from bailee.json_values import elements, members, objects, text, whole

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(ANYTHING)
def test_readers_are_total(value: object) -> None:
    """Of its own kind a reader gives the value itself, of any other the empty one."""
    assert members(value) == (value if isinstance(value, dict) else {})
    assert elements(value) == (value if isinstance(value, list) else [])
    assert text(value) == (value if isinstance(value, str) else "")
    assert whole(value) == (value if type(value) is int else 0)
    assert all(isinstance(one, dict) for one in objects(value))
