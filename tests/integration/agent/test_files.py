"""Read, Write, Edit, Grep and Glob on a real disk: files keep their shape, what was not read is not
overwritten, and what rules forbid is not shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailee.agent.ports import Call, ToolOutcome
from bailee.agent.tools.box import Toolbox
from bailee.agent.tools.files import Edit, Read, SeenFiles, Write
from bailee.agent.workspace import Workspace
from bailee.errors import InputError
from bailee.json_values import JsonObject
from bailee.testing.agent import ScriptedModel, calls

from .conftest import Work, results, take

CJK = "文" * 85  # 255 bytes, the longest name


@pytest.fixture
def box(tmp_path: Path) -> Toolbox:
    """The tools, over a workspace."""
    workspace, seen = Workspace(tmp_path), SeenFiles()
    return Toolbox([Read(workspace, seen), Write(workspace, seen), Edit(workspace, seen)])


def do(box: Toolbox, tool: str, **arguments: object) -> ToolOutcome:
    """A call, judged and run."""
    call = Call("1", tool, arguments)  # type: ignore[arg-type]
    box.intent(call)
    return asyncio.run(box.run(call))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from([("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe")]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(0o400, 0o777),
    st.sampled_from(["f", CJK, "~x", "~root", " ", "-rf"]),
)
def test_an_edit_keeps_all_but_what_it_changes(
    tmp_path: Path, box: Toolbox, how: tuple[str, bytes], end: str, mode: int, name: str
) -> None:
    """Encoding, mark, ends and mode, in files of any name; a whole new content too."""
    file = tmp_path / name
    file.write_bytes(how[1] + f"é{end}two{end}three{end}".encode(how[0]))
    file.chmod(mode)
    try:
        do(box, "Edit", path=name, old="é\ntwo", new="é\n2\nzwei")
        assert how[1] + f"é{end}2{end}zwei{end}three{end}".encode(how[0]) == file.read_bytes()
        shown = do(box, "Read", path=name)
        do(box, "Write", path=name, content="a\nb\n")
        assert how[1] + f"a{end}b{end}".encode(how[0]) == file.read_bytes()
        assert "     1\té\n     2\t2\n     3\tzwei\n     4\tthree" == shown.content
        assert mode == stat.S_IMODE(file.stat().st_mode)
        assert [file] == list(tmp_path.iterdir())
    finally:
        file.unlink()


def test_links_owner_and_attributes_stay(tmp_path: Path, box: Toolbox) -> None:
    """A file with two names keeps both; who owns it owns it afterwards."""
    file, other, owned = (tmp_path / name for name in ("file", "other", "owned"))
    file.write_text("a\n")
    other.hardlink_to(file)
    owned.write_text("a\n")
    attributes = False
    with contextlib.suppress(OSError):
        os.setxattr(owned, "user.pears", b"ripe")
        attributes = True
    if os.geteuid() == 0:
        os.chown(owned, 12345, 54321)
    before = owned.stat()
    do(box, "Edit", path="file", old="a", new="longer\nb")
    do(box, "Edit", path="other", old="longer\n", new="")
    do(box, "Edit", path="owned", old="a", new="b")

    assert "b\n" == file.read_text() == other.read_text() == owned.read_text()
    assert 2 == file.stat().st_nlink
    assert (before.st_uid, before.st_gid) == (owned.stat().st_uid, owned.stat().st_gid)
    assert not attributes or b"ripe" == os.getxattr(owned, "user.pears")


def test_bytes_of_an_unknown_encoding_are_edited_around(tmp_path: Path, box: Toolbox) -> None:
    """ASCII can be written into them; anything else would mix two encodings."""
    (tmp_path / "latin").write_bytes("naïve old\r\n".encode("latin-1"))
    do(box, "Edit", path="latin", old="old", new="new\nx")
    for new in ("é", "文"):
        with pytest.raises(InputError, match="encoding"):
            do(box, "Edit", path="latin", old="new", new=new)

    assert "naïve new\r\nx\r\n".encode("latin-1") == (tmp_path / "latin").read_bytes()


@pytest.mark.parametrize(
    ("content", "reads"),
    [
        (b"\0\1", [{}]),
        (b"\x89PNG\r\n\x1a\n", [{}]),
        (b"a\n" * 5000, [{"limit": 1}]),
        (b"a\n" * 5000, [{}, {"offset": 2002}]),
        (b"a" * 3000 + b"\n", [{}]),
        (b"a\n", []),
    ],
)
def test_what_was_not_read_whole_is_not_overwritten(
    tmp_path: Path, box: Toolbox, content: bytes, reads: list[JsonObject]
) -> None:
    """After a Read that failed, a part, a line that was cut; an Edit does not make it known."""
    file = tmp_path / "file"
    file.write_bytes(content)
    for how in reads:
        with contextlib.suppress(InputError):
            do(box, "Read", path="file", **how)
    with contextlib.suppress(InputError):
        do(box, "Edit", path="file", old="a\n", new="b\n", replace_all=True)
    before = file.read_bytes()
    with pytest.raises(InputError):
        do(box, "Write", path="file", content="x")

    assert before == file.read_bytes()


def test_what_was_read_in_parts_may_be_overwritten(tmp_path: Path, box: Toolbox) -> None:
    """All lines count, whichever reads they came with."""
    (tmp_path / "file").write_bytes(b"a\n" * 5000)
    for offset in (1, 4001, 2001):
        do(box, "Read", path="file", offset=offset)
    do(box, "Write", path="file", content="x")

    assert "x" == (tmp_path / "file").read_text()


def test_what_was_judged_is_what_is_used(tmp_path: Path, box: Toolbox) -> None:
    """A link that leads elsewhere by the time of the yes is not followed; nor is it asked again."""
    secret = tmp_path.parent / f"{tmp_path.name}-secret"
    secret.mkdir()
    (secret / "a").write_text("SECRET")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("open")
    (tmp_path / "link").symlink_to("real")
    call = Call("1", "Read", {"path": "link/a"})
    box.intent(call)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(secret)

    assert "     1\topen" == asyncio.run(box.run(call)).content


def test_a_search_shows_nothing_that_must_not_be_read(work: Work) -> None:
    """By its name, its path from the home, or through a link: Grep and Glob leave it out."""
    work.write(open_txt="pears\n", deep__open_txt="pears\n")
    for name in (".env", "deep/.env", "keys/id"):
        (work.root / name).parent.mkdir(exist_ok=True)
        (work.root / name).write_text("pears of Ann\n")
    (work.root / "also").symlink_to(".env")
    rules = ["Read(**/.env)", f"Read(/{work.root}/keys/**)"]
    session = work.session(
        ScriptedModel(
            [
                calls("Grep", pattern="pears"),
                calls("Grep", pattern="pears", path="keys"),
                calls("Grep", pattern="pears", path="deep/.env"),
                calls("Glob", pattern="**/*"),
                calls("Read", path="also"),
            ]
        ),
        deny=rules,
    )
    take(session, "search")
    told = results(session)

    assert "Ann" not in str(told)
    assert "open.txt:1:pears" in told[0][0] and "3 files left out" in told[0][0]
    assert "id" not in told[3][0] and ".env" not in told[3][0]
    assert told[4][1]
