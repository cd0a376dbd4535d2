"""A file that is edited stays the file it was."""

from __future__ import annotations

import codecs

from hypothesis import assume, given
from hypothesis import strategies as st

from bailee.agent.shapes import PLAIN, shape_of

encodings = st.sampled_from(
    [("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE),
     ("utf-16-be", codecs.BOM_UTF16_BE)]
)  # fmt: skip
lines = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8))
ends = st.sampled_from(["\n", "\r\n", "\r"])


@given(lines, encodings, ends)
def test_what_is_read_is_written_as_it_was(
    held: list[str], how: tuple[str, bytes], end: str
) -> None:
    """Encoding, mark and ends: back to the very bytes."""
    text = "".join(line + end for line in held)
    content = how[1] + text.encode(how[0])
    assume(
        how[1] or not content.startswith((codecs.BOM_UTF8, *map(bytes, (b"\xff\xfe", b"\xfe\xff"))))
    )
    assume(not content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)))
    found = shape_of(content)
    assert found is not None
    shape, read = found

    assert text == read
    assert content == shape.encoded(read)
    assert content == shape.encoded(shape.fitted(read.replace(end, "\n")))


@given(st.binary())
def test_bytes_of_any_encoding_come_back(content: bytes) -> None:
    """What is a text at all is written as the bytes it was."""
    found = shape_of(content)

    assert found is None or content == found[0].encoded(found[1])


def test_a_new_file_is_plain() -> None:
    """UTF-8, without a mark, with the ends that were given."""
    assert "a\r\né\n".encode() == PLAIN.encoded(PLAIN.fitted("a\r\né\n"))
