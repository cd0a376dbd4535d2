"""The public page has all of the document, and nothing that the policy would not decide."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from bailee.policy import Policy, html, markdown
from bailee.policy.document import Language
from bailee.policy.loading import from_bytes
from bailee.policy.page import Grid, page

LANGUAGES: tuple[Language, ...] = ("zh", "en")
VOID = {"meta", "br", "hr", "link", "img"}


class Reader(HTMLParser):
    """Text and elements of a page; refuses elements that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and that it is open."""
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Only the innermost element can end."""
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        """Keep what a person reads."""
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.seen if name == tag]


@pytest.mark.row("P3")
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_clause_and_invariant_is_on_the_page(policy: Policy, language: Language) -> None:
    """Each text of the document is there in full, in Markdown and in HTML, once."""
    made = page(policy, language)
    plain = markdown.render(made).replace("\\", "")
    shown = Reader(html.render(made)).text
    document = policy.document
    texts = [one.text for one in (*document.every_clause, *document.invariants)]
    assert len(texts) > 60
    for text in texts:
        assert 1 == plain.count(f"- {text.of(language)}")
        assert text.of(language) in shown
    for one in (*document.every_clause, *document.invariants):
        assert (f"(`{one.id}`)" if language == "en" else f"（`{one.id}`）") in plain
        assert one.id in shown
    for heading in document.headings:
        assert f"## {heading.label.of(language)}\n" in plain
    assert document.sha256 in plain and document.sha256 in shown


@pytest.mark.row("P3", "S4")
@pytest.mark.parametrize(
    ("language", "on", "off"),
    [
        ("en", "On by default. Off when {} or {} is set.", "Off by default."),
        ("zh", "默认开启。设置 {} 或 {} 即关闭。", "默认关闭。"),
    ],
)
def test_the_provider_matrix_is_the_published_one(
    policy: Policy, language: Language, on: str, off: str
) -> None:
    """On by default on the first-party API with its switch, off on Vertex and Bedrock."""
    everything = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"
    grids = [
        block
        for section in page(policy, language).sections
        if section.id == "providers"
        for block in section.blocks
        if isinstance(block, Grid)
    ]
    (matrix,) = grids
    rows = [row[1:] for row in matrix.rows]
    comma = ", " if language == "en" else "、"
    switches = (
        ("DISABLE_TELEMETRY", "DO_NOT_TRACK"),
        ("DISABLE_ERROR_REPORTING",),
        ("DISABLE_BUG_COMMAND", "DISABLE_FEEDBACK_COMMAND"),
    )
    for row, named in zip(rows, switches, strict=False):
        assert on.format(comma.join(named), everything) == row[0]
    assert everything in rows[3][0]
    for row in rows:
        assert row[1].startswith(off) and "CLAUDE_CODE_USE_VERTEX=1" in row[1]
        assert row[2].startswith(off) and "CLAUDE_CODE_USE_BEDROCK=1" in row[2]


@pytest.mark.row("P3")
def test_the_page_follows_the_document(shipped: str) -> None:
    """A changed clause is a changed table: there is no second list to forget."""
    text = shipped
    for old, new in (
        ('for = "P30D"\nen = "Commercial', 'for = "P60D"\nen = "Commercial'),
        ('unless = { segment = "consumer", training_choice = "allowed" }\nat_most = "P30D"',
         'unless = { segment = "consumer", training_choice = "allowed" }\nat_most = "P60D"'),
        ('unless = { segment = "consumer", training_choice = "allowed" }\nexactly = "P30D"',
         'unless = { segment = "consumer", training_choice = "allowed" }\nat_most = "P60D"'),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    policy = from_bytes(text.encode(), "new.toml")
    assert "| commercial | 60 days | not kept |" in markdown.render(page(policy, "en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_html_page_can_be_read_by_everyone(policy: Policy, language: Language) -> None:
    """Declared language, landmarks, headings in order, scoped table headings, working anchors."""
    text = html.render(page(policy, language))
    found = Reader(text)
    assert {"en": "en", "zh": "zh-Hans"}[language] == found.all("html")[0]["lang"]
    for landmark in ("header", "nav", "main", "footer", "h1", "title"):
        assert 1 == len(found.all(landmark))
    assert all(one.get("scope") in ("col", "row") for one in found.all("th"))
    assert len(found.all("table")) == len(found.all("caption")) >= 6
    ids = [attributes["id"] for _, attributes in found.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(one["href"]).removeprefix("#") for one in found.all("a")} <= set(ids)
    levels = [int(tag[1]) for tag, _ in found.seen if re.fullmatch("h[1-6]", tag)]
    assert all(next_one - one <= 1 for one, next_one in pairwise(levels))
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_html_page_fetches_nothing(policy: Policy, language: Language) -> None:
    """No script, no style sheet, no image, no address of anyone else."""
    text = html.render(page(policy, language))
    found = Reader(text)
    for tag in ("script", "link", "img", "iframe"):
        assert [] == found.all(tag)
    assert not re.search(r"https?:|url\(|@import", text)


def test_what_a_document_says_is_text_and_not_markup(shipped: str) -> None:
    """Markup in a clause appears as it was written."""
    hostile = "<script>*x*</script> [a](b) | `c`"
    old = "Operational metrics are kept 30 days."
    assert old in shipped
    policy = from_bytes(shipped.replace(old, hostile).encode(), "new.toml")
    made = page(policy, "en")
    assert hostile in Reader(html.render(made)).text
    assert "<script" not in html.render(made)
    assert r"- \<script\>\*x\*\</script\> \[a\](b) \| \`c\`" in markdown.render(made)
