"""A thousand people of a list: made, put into their organisation, and the same list once more."""

from __future__ import annotations

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.clients.programs import Bailee

pytestmark = pytest.mark.row("P3")
MOST = 120  # people: more than one question's


@pytest.fixture
def bailee(tmp_path: Path) -> Iterator[Bailee]:
    """A home with Acme, and Ada who owns it."""
    made = Bailee(tmp_path)
    made.json("person", "create", "--email", "ada@example.org", "--plan", "pro")
    yield made
    made.close()


def _acme(bailee: Bailee) -> str:
    made = bailee.json(
        "organisation", "create", "Acme", "--plan", "team", "--owner", "ada@example.org"
    )
    return str(made["organisation"])


def _import(bailee: Bailee, file: Path, *options: str) -> Any:
    return bailee.run("person", "import", str(file), *options)


def _list(folder: Path, *rows: str) -> Path:
    file = folder / "people.csv"
    file.write_text("\ufeff" + "\r\n".join(rows), "utf-8")
    return file


def _members(bailee: Bailee, organisation: str) -> dict[str, str]:
    shown: Any = bailee.json("organisation", "show", organisation)
    return {one["email"]: one["role"] for one in shown["members"]}


def test_a_list_makes_people_and_can_be_given_again(bailee: Bailee, tmp_path: Path) -> None:
    """As a spreadsheet writes it, on a running server; what is not well is said, the rest done."""
    acme = _acme(bailee)
    of = ("--organisation", acme)
    roles = ["admin"] * 2 + ["member"] * (MOST - 2)
    people = [f"p{number}@example.org,{role}" for number, role in enumerate(roles)]
    file = _list(
        tmp_path, "Email, role", *people, "P3@example.org,admin", "no address,member",
        "boss@example.org,king", "ada@example.org,owner", ",member",
    )  # fmt: skip
    bailee.up()
    try:
        tried = _import(bailee, file, *of, "--dry-run", "--json")
        assert tried.returncode == 1 and {"ada@example.org": "owner"} == _members(bailee, acme)
        rows = json.loads(tried.stdout)["rows"]
        made = [row["email"] for row in rows if row["state"] == "made"]
        assert made == [f"p{number}@example.org" for number in range(MOST)]
        keys = tmp_path / "keys.csv"
        done = _import(bailee, file, *of, "--keys", str(keys))
        assert done.returncode == 1
        assert done.stdout.endswith(f"{MOST} made, 4 refused, 1 same.\n")
        members = _members(bailee, acme)
        assert MOST + 1 == len(members)
        assert Counter(members.values()) == {"owner": 1, "admin": 2, "member": MOST - 2}
        assert 0o600 == keys.stat().st_mode & 0o777
        with keys.open(newline="") as opened:
            given = {row["email"]: row["key"] for row in csv.DictReader(opened)}
        assert MOST == len(given)
        shown = bailee.json("key", "show", "--key", given["p7@example.org"])
        assert "team" == shown["terms"]["plan"]
    finally:
        assert 0 == bailee.stop()

    fewer = _list(tmp_path, "email,role", *people[:60], "p1@example.org,member")
    again = _import(bailee, fewer, *of, "--remove-others", "--yes")
    assert again.returncode == 1 and "Nobody is let go" in again.stderr
    assert MOST + 1 == len(_members(bailee, acme))
    fewer = _list(tmp_path, "email,role", "p0@example.org,member", *people[1:60])
    again = _import(bailee, fewer, *of, "--remove-others", "--yes")
    assert again.returncode == 0
    assert again.stdout.endswith(f"1 changed, {MOST - 60} let go, 59 same.\n")
    left = _members(bailee, acme)
    assert 61 == len(left) and "owner" == left["ada@example.org"]


def test_plans_and_names_of_others_are_text(bailee: Bailee, tmp_path: Path) -> None:
    """An own account on a plan; what a list holds does nothing to the terminal that shows it."""
    file = _list(
        tmp_path, "email,plan", "bo@example.org,max", "cy@example.org,", '"\x1b]0;own\x07",pro'
    )
    done = _import(bailee, file)
    assert done.returncode == 1 and "2 made, 1 refused" in done.stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", done.stdout)
    plans = {one["email"]: one["plan"] for one in bailee.json("person", "list")}
    assert plans["bo@example.org"] == "max" and plans["cy@example.org"] == "free"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"name,role\nAda,owner\n", "first line is not its columns"),
        (b"email,email\na@x.example,b@x.example\n", "first line is not its columns"),
        (b"", "first line is not its columns"),
        (b"email,role\na@x.example\n", "not as many fields"),
        (b'email\n"a@x.example\n', "is no CSV"),
        (b"email\n\xff@x.example\n", "no UTF-8"),
        (b"email\n" + b"a" * (17 << 20), "over 16 MiB"),
    ],
)
def test_what_is_no_list_is_refused_whole(
    bailee: Bailee, tmp_path: Path, text: bytes, said: str
) -> None:
    """Before anybody is made."""
    file = tmp_path / "people.csv"
    file.write_bytes(text)
    done = _import(bailee, file)
    assert done.returncode != 0 and said in done.stderr
    assert 1 == len(bailee.json("person", "list"))
    os.mkfifo(tmp_path / "keys")
    taken = _import(bailee, file, "--keys", str(tmp_path / "keys"))
    assert "is there already" in taken.stderr
