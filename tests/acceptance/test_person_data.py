"""A person's data from the command line, with a server that runs: copy, hold, erasure, receipt."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.clients.programs import Bailee, message

Serve = Callable[..., Bailee]


def settled(bailee: Bailee) -> list[dict[str, Any]]:
    """The moves, once none is under way."""
    while True:
        moves: list[dict[str, Any]] = bailee.json("retention", "moves")
        if all(move["state"] == "done" for move in moves):
            return moves
        time.sleep(0.05)


@pytest.mark.row("R4", "R6")
def test_a_persons_data(served: Serve, tmp_path: Path) -> None:
    """Allow, work, refuse: the sessions move. Export: it is there. Hold one, erase: all is gone but
    the held, which waits, and goes with the release. The receipt verifies, a changed one does not.
    """
    bailee = served()
    ada = bailee.json("person", "create", "--email", "ada@example.org", "--plan", "pro")
    chosen = bailee.run("privacy", "allow", "--key", ada["key"])
    assert 0 == chosen.returncode
    message(bailee.ready, "medlars", key=ada["key"])
    message(bailee.ready, "quinces", key=ada["key"])
    assert {"P5Y"} == {s["retention"]["period"] for s in bailee.json("sessions", "list")}

    assert 0 == bailee.run("privacy", "refuse", "--key", ada["key"]).returncode
    assert 2 == settled(bailee)[-1]["moved"]
    kept = [session["retention"] for session in bailee.json("sessions", "list")]
    assert [{"period": "P30D", "clause": "retain.consumer-refused"}] * 2 == kept

    file = tmp_path / "ada.zip"
    exported = bailee.json("person", "export", "ada@example.org", "-o", str(file))
    assert exported["bytes"] == file.stat().st_size
    assert 0o600 == file.stat().st_mode & 0o777
    with zipfile.ZipFile(file) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert [] == [needle for needle in (b"medlars", b"quinces", b"ada@") if needle not in whole]

    held = bailee.sessions()[0]["id"]
    hold = bailee.json("hold", "place", "--session", held, "--reason", "matter 7")
    assert [True, False] == [s["held"] for s in bailee.json("sessions", "list")]
    asked = bailee.run("person", "erase", ada["person"])
    assert 1 == asked.returncode
    done = bailee.json("person", "erase", ada["person"], "--yes")
    assert "deferred" == done["state"]
    assert [] == bailee.json("sessions", "list")
    assert 2 == bailee.run("privacy", "show", "--key", ada["key"]).returncode
    assert "placed" == bailee.json("hold", "list")[0]["state"]

    bailee.json("hold", "release", hold["hold"])
    final, *things = bailee.json("receipts", "list")
    assert ["operator", "operator"] == [one["by"] for one in things]
    assert "done" == final["state"]
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps(final))
    assert bailee.json("receipts", "verify", str(receipt))["key_known"]
    bailee.stop()
    key = bailee.json("receipts", "key")["public_key"]
    assert 0 == bailee.run("receipts", "verify", str(receipt), "--key", key).returncode
    receipt.write_text(receipt.read_text().replace('"state": "done"', '"state": "dine"'))
    assert 5 == bailee.run("receipts", "verify", str(receipt)).returncode
    assert [] == bailee.holds(b"ada@example.org", b"medlars", b"quinces")


@pytest.mark.row("R6", "P4")
def test_an_erasure_leaves_no_word_of_them(served: Serve) -> None:
    """While the server runs: the audit record says what names them in particular, no file does;
    after the erasure neither, in no file and no free page; the receipt says what was searched.
    """
    bailee = served()
    ada = bailee.json("person", "create", "--email", "Ada@Example.org", "--plan", "pro")
    message(bailee.ready, "medlars", key=ada["key"])
    keys = {"BAILEE_API_KEY": ada["key"], "TOKEN": "s3cret"}
    for command in (
        ("git", "add", "github.com/lovelace-orchard", "--secret-env", "TOKEN"),
        ("network", "allow", "notes.pippin.example"),
    ):
        assert 0 == bailee.run("cloud", *command, env=keys).returncode
    session = bailee.sessions()[0]["id"]
    reason = "asked by ada@example.org of Costard Lane"
    assert 0 == bailee.run("sessions", "show", session, "--reason", reason).returncode
    hold = bailee.json("hold", "place", "--session", session, "--reason", "matter of bullace")
    bailee.json("hold", "release", hold["hold"])
    assert reason in bailee.run("audit", "list", "--json").stdout
    named = [b"ada@example.org", b"lovelace-orchard", b"pippin.example", b"Costard", b"bullace"]
    assert [] == bailee.holds(named[0], b"Costard")

    said = bailee.run("person", "erase", "Ada@Example.org", "--yes").stdout
    assert "What named them: removed, and their key destroyed; none was found." in said
    assert "session's id" in said and "until: always" in said and "2 databases" in said
    assert [] == bailee.holds(*named)
    shown = bailee.run("audit", "list", "--kind", "access.read").stdout
    assert "reason=(erased)" in " ".join(shown.split()) and "Costard" not in shown
    bailee.stop()
    assert [] == bailee.holds(*named)
