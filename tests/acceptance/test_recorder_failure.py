"""The disk is full: what the policy says happens, and nothing is claimed that is not so."""

from __future__ import annotations

import json
import os
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee, message
from support.homes.small_disks import fill, small_disk

SHIPPED = Path(__file__).parents[2] / "src/bailee/policy/documents/2025-10-27.toml"


@pytest.fixture(name="small_disk")
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that can be filled."""
    with small_disk(tmp_path / "disk", 80) as folder:
        yield folder


def on_full_disk(bailee: Bailee, upstream: ScriptedUpstream, *arguments: str) -> Path:
    """A server whose spool has used up what it had, on a disk that is full."""
    bailee.up("--upstream", upstream.url, *arguments)
    message(bailee.ready, "before the disk was full")
    return fill(bailee.home.parent)


def until_refused(bailee: Bailee) -> tuple[int, str]:
    """Talk until the space that was set aside is used up; how that is answered."""
    for number in range(40):
        try:
            message(bailee.ready, f"{number} " + os.urandom(600_000).hex())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())["error"]["message"]
    raise AssertionError("a full disk is not noticed")


@pytest.mark.row("R1")
def test_refuse_serves_nothing_unrecorded_and_recovers(
    small_disk: Path, upstream: ScriptedUpstream
) -> None:
    """Clients get a clear 503; what was acknowledged is there, and can be deleted; with room again,
    it goes on.
    """
    bailee = Bailee(small_disk)
    bailee.up("--upstream", upstream.url)
    message(bailee.ready, "to be deleted")
    first = bailee.sessions()[0]["id"]
    message(bailee.ready, "before the disk was full")
    filler = fill(small_disk)
    try:
        status, text = until_refused(bailee)
        assert 503 == status
        assert "can't be recorded" in text
        asked = len(upstream.conversations)
        for _ in range(3):
            with pytest.raises(urllib.error.HTTPError):
                message(bailee.ready, "while it is full")
        assert asked == len(upstream.conversations)  # the model is not even asked
        assert "inaccessible" in bailee.json("sessions", "delete", first)["states"]

        filler.unlink()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                message(bailee.ready, "with room again")
                break
            except urllib.error.HTTPError:
                time.sleep(0.2)
        told = [s["exchanges"] for s in bailee.json("sessions", "list")]
        assert sum(told) == len(bailee_acknowledged(bailee))
    finally:
        bailee.close()


def bailee_acknowledged(bailee: Bailee) -> list[str]:
    """The first words of every prompt that is kept."""
    found = []
    for session in bailee.json("sessions", "list"):
        exported = bailee.run("sessions", "export", session["id"]).stdout.splitlines()
        requests = [json.loads(line).get("request") for line in exported]
        found += [one["messages"][-1]["content"][:24] for one in requests if one is not None]
    assert "before the disk was full" in found
    assert "with room again" in found
    return found


def test_serve_unrecorded_serves_and_says_so(
    small_disk: Path, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Under the other setting clients notice nothing, and nothing is claimed to be kept."""
    document = tmp_path / "policy.toml"
    text = SHIPPED.read_text()
    assert text.count('on_recorder_failure = "refuse"') == 1
    document.write_text(
        text.replace('on_recorder_failure = "refuse"', 'on_recorder_failure = "serve_unrecorded"')
    )
    bailee = Bailee(small_disk)
    on_full_disk(bailee, upstream, "--policy", str(document))
    try:
        for number in range(20):
            message(bailee.ready, f"{number} " + os.urandom(600_000).hex())
        upstream.then(Text("served all the same"))
        answer = message(bailee.ready, "while it is full")
        assert "served all the same" == answer["content"][0]["text"]
    finally:
        bailee.close()
