"""What a push says, read and written anew, beside how dulwich reads it."""

from __future__ import annotations

import contextlib
import itertools
from io import BytesIO

import pytest
from dulwich.protocol import Protocol, extract_capabilities
from hypothesis import given
from hypothesis import strategies as st

from bailee.cloud.git.pktlines import Marker, NotAPacket, PacketReader, band, encode
from bailee.cloud.git.pushes import PASSED, NotAPush, Push, PushReader, RefUpdate
from bailee.cloud.git.reports import ReportReader, refusal

objects = st.text("0123456789abcdef", min_size=40, max_size=40)
refs = st.from_regex(r"refs/[a-z]{1,9}/[!-~]{1,30}", fullmatch=True)
commands = st.builds(RefUpdate, objects, objects, refs)
capabilities = st.lists(st.sampled_from(sorted(PASSED)), unique=True).map(tuple)
pushes = st.builds(
    Push,
    st.lists(objects, max_size=3).map(tuple),
    st.lists(commands, min_size=1, max_size=4, unique_by=lambda c: c.ref).map(tuple),
    capabilities,
)


def read(data: bytes, cuts: list[int] | None = None) -> tuple[Push | None, bytes]:
    """The push in `data`, fed in pieces, and what is behind it."""
    reader = PushReader()
    places = sorted({0, len(data), *(c % (len(data) + 1) for c in cuts or ())})
    for begin, end in itertools.pairwise(places):
        if (push := reader.feed(data[begin:end])) is not None:
            return push, reader.rest + data[end:]
    return None, reader.rest


def as_dulwich(data: bytes) -> tuple[list[tuple[bytes, ...]], list[bytes], set[bytes], bytes]:
    """Commands, shallow commits, capabilities and the rest, as dulwich reads them."""
    stream = BytesIO(data)
    protocol = Protocol(stream.read, lambda _: None)
    found: list[tuple[bytes, ...]] = []
    shallow: list[bytes] = []
    capable: set[bytes] = set()
    while (line := protocol.read_pkt_line()) is not None:
        if line.startswith(b"shallow "):
            shallow.append(line[8:].rstrip(b"\n"))
            continue
        if not found:
            line, listed = extract_capabilities(line)
            capable = {c for c in listed if c}
        found.append(tuple(line.rstrip(b"\n").split(b" ", 2)))
    return found, shallow, capable, stream.read()


@given(pushes, st.binary(max_size=20), st.lists(st.integers(0, 5000), max_size=5))
def test_reading_and_writing_are_inverse(push: Push, pack: bytes, cuts: list[int]) -> None:
    """A push that is written is read as it was, in whatever pieces it comes."""
    assert (push, pack) == read(push.encode() + pack, cuts)


@given(pushes, st.binary(max_size=20))
def test_dulwich_reads_the_same(push: Push, pack: bytes) -> None:
    """What is passed on means the same to another implementation."""
    found, shallow, capable, rest = as_dulwich(push.encode() + pack)
    assert [(c.old.encode(), c.new.encode(), c.ref.encode()) for c in push.commands] == found
    assert list(push.shallow) == [commit.decode() for commit in shallow]
    assert {c.encode() for c in push.capabilities} == capable
    assert pack == rest


damage = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(["set", "cut", "put"]), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)


@given(pushes, damage)
def test_what_is_taken_means_the_same_to_dulwich(
    push: Push, damages: list[tuple[int, str, int]]
) -> None:
    """Whatever bytes are taken as a push: what goes upstream of them has exactly the commands that
    dulwich finds in it, and reading it again gives it again.
    """
    data = bytearray(push.encode())
    for place, how, byte in damages:
        at = place % max(1, len(data))
        if how == "set":
            data[at : at + 1] = bytes([byte])
        elif how == "put":
            data[at:at] = bytes([byte])
        else:
            del data[at : at + 1]
    try:
        taken, _ = read(bytes(data))
    except NotAPush:
        return
    if taken is None or not taken.commands:
        return
    passed = taken.encode()
    found, _, _, _ = as_dulwich(passed)
    texts = [(c.old, c.new, c.ref) for c in taken.commands]
    assert texts == [tuple(p.decode("utf-8", "surrogateescape") for p in parts) for parts in found]
    again, rest = read(passed)
    assert again is not None
    assert (taken.commands, b"") == (again.commands, rest)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No bytes do anything else than to be read, to be waited for, or to be refused."""
    with contextlib.suppress(NotAPush):
        read(data)


ZERO, ONE = "0" * 40, "1" * 40


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([f"{ZERO} {ONE} refs/heads/a\0 push-options"], "push options"),
        ([f"{ZERO} {ONE} refs/heads/a\0 push-cert=nonce"], "signed pushes"),
        (["push-cert\0 atomic"], "signed pushes"),
        ([f"{ZERO} {ONE} refs/heads/a", f"{ZERO} {ONE} refs/heads/a"], "one ref twice"),
        ([f"{ZERO} {ONE} refs/heads/a\0 x", f"{ZERO} {ONE} refs/heads/b\0 x"], "twice"),
        ([f"{ZERO} {'1' * 64} refs/heads/a"], "different lengths"),
        ([f"{ZERO} {ONE} refs/heads/a", f"shallow {ONE}"], "after a command"),
        ([f"shallow {ONE}"], "without a command"),
        ([f"{ZERO}  {ONE} refs/heads/a"], "no command"),
        ([f"{ZERO} {ONE} refs/heads/a b"], "no command"),
        ([f"{ZERO} {ONE} refs/heads/a\n\n"], "no command"),
        ([f"{ZERO} {ONE[:-1]}g refs/heads/a"], "no command"),
    ],
)
def test_refused_by_name(lines: list[str], said: str) -> None:
    """What is not passed on says why."""
    data = b"".join(encode(line.encode()) for line in lines) + b"0000"
    with pytest.raises(NotAPush, match=said):
        read(data)


def test_a_push_without_an_end_is_not_kept() -> None:
    """Commands without end are refused at a limit."""
    reader = PushReader()
    with pytest.raises(NotAPush, match="too many"):
        for number in range(10_000):
            reader.feed(encode(f"{ZERO} {ONE} refs/heads/{number}".encode()))


@given(st.lists(st.binary(min_size=1, max_size=100) | st.sampled_from(list(Marker)), max_size=8))
def test_packets_come_back(packets: list[bytes | Marker]) -> None:
    """Packets that are written are read, byte by byte too."""
    reader = PacketReader()
    found = []
    for byte in b"".join(encode(packet) for packet in packets):
        reader.feed(bytes([byte]))
        while (packet := reader.next()) is not None:
            found.append(packet)
    assert packets == found
    assert b"" == reader.rest


@pytest.mark.parametrize("data", [b"0003", b"fff1", b"zzzz", b"00g", b"-001", b" 005", b"+006"])
def test_what_is_no_packet(data: bytes) -> None:
    """A length that is none is refused, as early as it shows."""
    reader = PacketReader()
    reader.feed(data)
    with pytest.raises(NotAPacket):
        reader.next()


@given(pushes.map(lambda p: Push(p.shallow, p.commands, ("report-status", "side-band-64k"))))
def test_a_refusal_is_read_as_one(push: Push) -> None:
    """The report that is written for a refusal says `ng` of every ref, and is read so."""
    answer = refusal(push, {push.commands[0].ref: "no"}, "no")
    reader = ReportReader(banded=True)
    reader.feed(answer)
    assert reader.accepted is False
    assert len(push.commands) == answer.count(b"ng refs/")


def test_a_report_is_read_through_its_bands() -> None:
    """`accepted` comes from side band 1 alone."""
    reader = ReportReader(banded=True)
    report = encode(b"unpack ok\n") + encode(b"ok refs/heads/a\n") + encode(Marker.FLUSH)
    said = band(2, b"ng refs/heads/a says the server\n")
    for piece in (said, band(1, report[:7]), band(1, report[7:]), encode(Marker.FLUSH)):
        reader.feed(piece)
    assert reader.accepted is True
