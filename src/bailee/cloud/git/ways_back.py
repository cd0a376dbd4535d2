"""Asking the git server whether commits that it has lead back to one (gitprotocol-v2, "fetch").

A push leaves out what the server has. So the way from a new commit to the branch's tip can pass
through commits that are not in its pack: a branch that was merged into `main`, and then pulled.

Rules kept here:

* What the server says is a pack, and each name is made from the commit's own text: neither the
  session nor the server can say that a commit has parents which it does not have.
* Only commits are asked for, where the server can leave out the rest. What comes is bounded, and
  counted by who asks.
* When in doubt, no: a server without version 2, a commit that it does not have, an answer that is
  none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from bailee.cloud.git.packs import NotAPack, PackReader
from bailee.cloud.git.pktlines import Marker, NotAPacket, Packet, PacketReader, encode
from bailee.cloud.git.routes import FETCH
from bailee.cloud.git.upstream import GitRequest, GitUpstream

MOST: Final = 1000
"""So many commits are asked about; a push that leaves from more of them is not seen to add."""

_VERSION: Final = b"version=2"
_PACK, _ERROR = 1, 3  # side bands

Pieces = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
"""An answer's pieces, timed, counted and bounded."""


class GitFeatures:
    """Takes what a server says of itself at first; `version_2`, and whether it `filters`."""

    def __init__(self) -> None:
        self._packets = PacketReader()
        self.version_2 = False
        self.filters = False

    def feed(self, data: bytes) -> None:
        """More bytes.

        Raises:
            NotAPacket: they are no packets.
        """
        self._packets.feed(data)
        while (packet := self._packets.next()) is not None:
            if isinstance(packet, Marker):
                continue
            name, _, value = packet.removesuffix(b"\n").partition(b"=")
            self.version_2 = self.version_2 or name == b"version 2"
            if self.version_2 and name == b"fetch":
                self.filters = b"filter" in value.split(b" ")


def commits_request(starts: Sequence[str], old: str, *, filters: bool) -> bytes:
    """A fetch of what leads from `starts` to `old`, of commits alone where the server `filters`."""
    lines = [b"command=fetch"]
    if len(old) == 64:
        lines.append(b"object-format=sha256")
    arguments = [b"ofs-delta", b"no-progress"]
    arguments += [b"filter tree:0"] if filters else []
    arguments += [b"want " + name.encode() for name in starts]
    arguments += [b"have " + old.encode(), b"done"]
    packets: list[Packet] = [*lines, Marker.DELIMITER, *arguments, Marker.FLUSH]
    return b"".join(map(encode, packets))


class FetchedPack:
    """Takes the answer to a fetch and feeds the pack in it to a reader."""

    def __init__(self, pack: PackReader) -> None:
        self._packets = PacketReader()
        self._pack = pack
        self._began = False

    def feed(self, data: bytes) -> None:
        """More bytes.

        Raises:
            NotAPacket, NotAPack: it is no answer with a pack.
        """
        self._packets.feed(data)
        while (packet := self._packets.next()) is not None:
            if isinstance(packet, Marker):
                continue
            if not self._began:
                if packet.startswith(b"ERR "):
                    raise NotAPack("the server has no such commit")
                self._began = packet == b"packfile\n"
            elif packet[:1] == bytes([_PACK]):
                self._pack.feed(packet[1:])
            elif packet[:1] == bytes([_ERROR]):
                raise NotAPack("the server ended in the middle")


async def lead_back(
    upstream: GitUpstream,
    authorization: str | None,
    starts: Sequence[str],
    old: str,
    pieces: Pieces,
) -> bool:
    """Whether the commits of the server lead from one of `starts` back to `old`. `pieces`: bounds
    and counts what comes.

    Raises:
        Refusal: the server can't be had, or what comes is too much.
    """
    if not starts or len(starts) > MOST:
        return False
    try:
        features = GitFeatures()
        request = GitRequest(
            "GET",
            f"/info/refs?service={FETCH}",
            f"application/x-{FETCH}-advertisement",
            authorization,
            _VERSION,
        )
        async with upstream.ask(request, None) as answer:
            async for piece in pieces(answer):
                features.feed(piece)
        if not features.version_2:
            return False
        pack = PackReader(len(old) // 2)
        fetched = FetchedPack(pack)
        request = GitRequest(
            "POST",
            f"/{FETCH}",
            f"application/x-{FETCH}-result",
            authorization,
            _VERSION,
            f"application/x-{FETCH}-request",
        )
        body = _one(commits_request(starts, old, filters=features.filters))
        async with upstream.ask(request, body) as answer:
            async for piece in pieces(answer):
                fetched.feed(piece)
        pack.end()
    except (NotAPacket, NotAPack):
        return False
    return pack.adds(old, *starts)


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body
