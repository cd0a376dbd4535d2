"""The data-flow diagram: what it says is decided by the policy and true of what runs."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bailee.policy import Policy, load
from bailee.policy.diagram import Configuration, ModelService, draw
from bailee.policy.document import Language
from bailee.policy.drawing import Layout, _wide, _wrapped
from bailee.policy.loading import from_bytes
from support.documents import edited

POLICY = load()
RUNNING = Configuration(
    "http://127.0.0.1:8787", False, (ModelService("api", "models.example.org"),), "folder", "file"
)
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    """Every line of text in the picture."""
    return [one.text or "" for one in ET.fromstring(svg).iter(f"{SVG}text")]


def drawings(policy: Policy, running: Configuration) -> Iterator[str]:
    """Both layouts in both languages."""
    languages: tuple[Language, ...] = ("en", "zh")
    layouts: tuple[Layout, ...] = ("wide", "narrow")
    for language in languages:
        for layout in layouts:
            yield draw(policy, running, language, layout)


@pytest.mark.row("D5")
def test_periods_are_the_policys() -> None:
    """Each case as it is decided; zero retention too."""
    said = texts(draw(POLICY, RUNNING, "en", "wide"))

    assert [
        "consumer · training allowed: 5 years",
        "consumer · training refused: 30 days",
        "consumer · no choice made: 30 days",
        "commercial: 30 days",
        "zero-retention key: not kept",
    ] == [line for line in said if line.endswith((": 5 years", ": 30 days", ": not kept"))]


@pytest.mark.row("D5")
def test_what_runs_is_shown_and_what_does_not_is_not() -> None:
    """A second model appears with its name, TLS where it is, receivers only where there are any."""
    more = Configuration(
        "https://bailee.example.org",
        True,
        (*RUNNING.upstreams, ModelService("bedrock", "bedrock.example.com")),
        "s3",
        "env",
        frozenset({"metrics", "errors", "bug_report", "survey"}),
        cloud_network="trusted",
    )

    before = " ".join(texts(draw(POLICY, RUNNING, "en", "wide")))
    after = " ".join(texts(draw(POLICY, more, "en", "wide")))

    for word in (
        "Bedrock", "under TLS", "object store", "environment variable", "Taken in here",
        "Cloud sessions", "network: trusted", "Connections: 30 days",
    ):  # fmt: skip
        assert (False, True) == (word in before, word in after)
    for word in ("on this machine only", "Not taken in here"):
        assert (True, False) == (word in before, word in after)


@pytest.mark.row("D5")
def test_what_is_passed_on_to_somebody_is_said() -> None:
    """By flow and host, in the picture and in its description."""
    on = replace(
        RUNNING,
        takes_in=frozenset({"metrics", "errors"}),
        goes_on={"errors": "errors.a-long-name-of-somebody-else.example.org"},
    )

    for svg in drawings(POLICY, on):
        said = ET.fromstring(svg).find(f"{SVG}desc")
        assert "errors.a-long-name" in "".join(texts(svg))
        assert said is not None
        assert "errors.a-long-name-of-somebody-else.example.org" in (said.text or "")
    assert not any("passed on" in line for line in texts(draw(POLICY, RUNNING, "en", "wide")))


def test_with_models_elsewhere_alone_the_flows_are_off() -> None:
    """A service with Bedrock alone: the policy turns what is beside the work off by default."""
    running = Configuration("http://x", False, (ModelService("bedrock", "b"),), "folder", "file")

    said = texts(draw(POLICY, running, "en", "narrow"))

    assert "Metrics: off by default" in said
    assert not any("on unless turned off" in line for line in said)


def test_it_says_no_more_of_the_network_than_the_document_leaves() -> None:
    """Whatever the setting has."""
    demand = (
        '[[network]]\nid = "network.none"\nheading = "cloud"\nrows = ["C3"]\nat_most = "none"\n'
        'en = "No network."\nzh = "没有网络。"\n'
    )
    less = from_bytes(edited(("\n[dates]\n", f"\n{demand}[dates]\n")).encode(), "less.toml")
    running = replace(RUNNING, cloud_network="full")

    said = [" ".join(texts(draw(one, running, "en", "narrow"))) for one in (POLICY, less)]

    assert [True, False] == ["network: full" in one for one in said]
    assert "network: none" in said[1]


def test_it_is_well_formed_and_says_itself_in_sentences() -> None:
    """A title and a description, for who can't see it; nothing that fetches or runs."""
    running = replace(RUNNING, cloud_network="trusted")
    for svg in (*drawings(POLICY, RUNNING), *drawings(POLICY, running)):
        root = ET.fromstring(svg)
        said = root.find(f"{SVG}desc")

        assert root.attrib["aria-labelledby"] == root.find(f"{SVG}title").attrib["id"]  # type: ignore[union-attr]
        assert said is not None
        assert "models.example.org" in (said.text or "")
        assert not {"script", "style", "image", "use"} & {
            one.tag.removeprefix(SVG) for one in root.iter()
        }


def test_boxes_neither_overlap_nor_leave_the_picture() -> None:
    """In every layout and language."""
    for svg in drawings(POLICY, RUNNING):
        root = ET.fromstring(svg)
        _, _, width, height = (float(one) for one in root.attrib["viewBox"].split())
        boxes = [
            tuple(float(one.attrib[name]) for name in ("x", "y", "width", "height"))
            for one in root.iter(f"{SVG}rect")
            if one.attrib["class"].startswith("box")
        ]

        assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
        assert not any(
            a < b and a[0] < b[0] + b[2] and b[0] < a[0] + a[2]
            and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
            for a in boxes
            for b in boxes
        )  # fmt: skip


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=80))
@example("\xa0")
def test_text_is_broken_and_never_lost(text: str) -> None:
    """Whatever a host is called: every line fits, or is one character; only blanks may go."""
    lines = list(_wrapped(text, 120.0, 13.0))

    assert "".join(text.split()) == "".join("".join(lines).split())
    assert all(_wide(line, 13.0) <= 120.0 or len(line) == 1 for line in lines)


def test_names_are_escaped() -> None:
    """A model's name is text, whatever it is."""
    running = Configuration("<g>", False, (ModelService("api", '<script>&"'),), "folder", "file")

    assert '<script>&"' in " ".join(texts(draw(POLICY, running, "en", "wide")))
