"""What of a git directory may come out of the sandbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.agent.git_data import may_come_out, packed_refs

SHA = "0123456789abcdef" * 2 + "01234567"
ids = st.text("0123456789abcdef", min_size=40, max_size=40).map(str.encode)
held = st.dictionaries(st.sampled_from([b"refs/heads/a", b"refs/heads/b", b"refs/tags/v"]), ids)


def packed(refs: dict[bytes, bytes]) -> bytes:
    """A packed-refs file."""
    lines = (b"%s %s\n" % (ref_id, ref) for ref, ref_id in sorted(refs.items()))
    return b"# pack-refs with: peeled fully-peeled sorted \n" + b"".join(lines)


@given(held, held, held)
def test_refs_are_merged_one_by_one(
    base: dict[bytes, bytes], mine: dict[bytes, bytes], theirs: dict[bytes, bytes]
) -> None:
    """What the command changed is changed, what it took away is gone, the rest is theirs."""
    expected = dict(theirs)
    for ref in base.keys() | mine.keys():
        if ref not in mine:
            expected.pop(ref, None)
        elif mine[ref] != base.get(ref):
            expected[ref] = mine[ref]
    made = packed_refs(packed(base), packed(mine), packed(theirs))

    assert packed(expected).partition(b"\n")[2] == made.partition(b"\n")[2]
    assert made == packed(theirs) or base != mine


@given(st.binary(max_size=200))
def test_what_is_no_ref_is_no_change(junk: bytes) -> None:
    """Lines that git would not have written stay inside."""
    base = packed({b"refs/heads/a": b"a" * 40})

    assert base == packed_refs(base, base + junk.replace(b" refs/", b" "), base)


@pytest.mark.parametrize(
    ("name", "content", "out"),
    [
        ("HEAD", b"ref: refs/heads/main\n", True),
        ("HEAD", SHA.encode(), True),
        ("HEAD", b"ref: ../../x\n", False),
        ("HEAD", b"ref: refs/heads/a\nx\n", False),
        ("HEAD", None, False),
        ("index", b"\0anything", False),
        ("index", None, True),
        ("MERGE_RR", b"", True),
        ("MERGE_RR", None, True),
        ("MERGE_RR", b"a" * 40 + b"\t/home/ann/.ssh/id\0", False),
        ("rr-cache/x", b"", False),
        ("sequencer/opts", b"[options]\n\tstrategy = ort\n\tedit = true\n", True),
        ("sequencer/opts", b"[options]\n\tstrategy = ../evil\n", False),
        ("sequencer/opts", b"[options] strategy=../evil\n", False),
        ("sequencer/opts", b"[options]\n\tno-commit = true\n\tstrategy = x\n", False),
        ("MERGE_HEAD", None, True),
        ("config", b"", False),
        ("config", None, False),
        ("config.worktree", b"", False),
        ("commondir", b"x", False),
        ("hooks", b"x", False),
        ("gitdir", b"x", False),
        ("rebase-merge/git-rebase-todo", b"pick 1 x\n\n# exec\nlabel onto\n", True),
        ("rebase-merge/git-rebase-todo", b"pick 1 x\nexec ./evil\n", False),
        ("rebase-merge/git-rebase-todo", b"x ./evil\n", False),
        ("rebase-merge/git-rebase-todo", b"  \texec ./evil", False),
        ("rebase-merge/git-rebase-todo.backup", b"x ./evil\n", False),
        ("rebase-merge/strategy", b"ort\n", True),
        ("rebase-merge/strategy", b"evil", False),
        ("rebase-merge/a/b", b"", False),
        ("hooks/pre-commit", b"", False),
        ("sequencer/todo", b"pick 1 x\n", True),
    ],
)
def test_data_comes_out_and_nothing_else(name: str, content: bytes | None, out: bool) -> None:
    """By name and form: what git would run or read as configuration stays inside."""
    assert out is may_come_out(name, content)
