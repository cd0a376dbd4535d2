"""What a push says before its pack (gitprotocol-pack, "Reference Update Request"). Pure.

Rules kept here:

* A request is read into its parts and written anew from them: what goes upstream is what was
  checked, byte for byte, and nothing that was not understood.
* Object names are all of one length, 40 or 64 hexadecimal digits.
* Capabilities that this proxy does not know are not passed on. A signed push, and push options,
  are refused by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bailee.cloud.git.pktlines import Marker, NotAPacket, PacketReader, encode

LONGEST: Final = 256 * 1024
"""Of a request, in bytes, before its pack."""

PASSED: Final = frozenset(
    {"report-status", "report-status-v2", "delete-refs", "side-band-64k", "quiet", "atomic"}
    | {"ofs-delta", "object-format", "agent"}
)
"""Capabilities of a push that this proxy knows; by their name before `=`."""

_OBJECT: Final = r"[0-9a-f]{40}(?:[0-9a-f]{24})?"
_COMMAND: Final = re.compile(rf"({_OBJECT}) ({_OBJECT}) ([^\x00-\x20\x7f]+)\Z")
_SHALLOW: Final = re.compile(rf"shallow ({_OBJECT})\Z")
_CAPABILITY: Final = re.compile(r"[\x21-\x7e]+\Z")


class NotAPush(ValueError):
    """The request is none, or one that can't be passed on. The text says why."""


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """Set `ref` from the object `old` to `new`; an object of zeros is none."""

    old: str
    new: str
    ref: str

    @property
    def creates(self) -> bool:
        """Whether the ref is new."""
        return not self.old.strip("0")

    @property
    def deletes(self) -> bool:
        """Whether the ref goes away."""
        return not self.new.strip("0")


@dataclass(frozen=True, slots=True)
class Push:
    """A push request. `shallow`: commits whose parents the client does not have."""

    shallow: tuple[str, ...]
    commands: tuple[RefUpdate, ...]
    capabilities: tuple[str, ...]

    def can(self, name: str) -> bool:
        """Whether the client understands a capability."""
        return name in self.capabilities

    def encode(self) -> bytes:
        """As it goes upstream."""
        lines = [encode(b"shallow " + commit.encode()) for commit in self.shallow]
        known = [c for c in self.capabilities if c.partition("=")[0] in PASSED]
        for number, command in enumerate(self.commands):
            line = f"{command.old} {command.new} {command.ref}"
            if number == 0:
                line += "\0 " + " ".join(known)
            lines.append(encode(line.encode("utf-8", "surrogateescape")))
        return b"".join(lines) + encode(Marker.FLUSH)


class PushReader:
    """Takes the body of a push in pieces until the request is whole; `rest` is what follows."""

    def __init__(self) -> None:
        self._packets = PacketReader()
        self._taken = 0
        self._shallow: list[str] = []
        self._commands: list[RefUpdate] = []
        self._capabilities: tuple[str, ...] = ()

    @property
    def rest(self) -> bytes:
        """What came after the request: the beginning of the pack."""
        return self._packets.rest

    def feed(self, data: bytes) -> Push | None:
        """More bytes; the request once it is whole.

        Raises:
            NotAPush: it is none.
        """
        self._packets.feed(data)
        try:
            while (packet := self._packets.next()) is not None:
                if packet is Marker.FLUSH:
                    return self._whole()
                if isinstance(packet, Marker):
                    raise NotAPush("a marker where a command must be")
                self._taken += 4 + len(packet)
                if self._taken > LONGEST:
                    raise NotAPush("too many commands")
                self._line(packet)
        except NotAPacket as error:
            raise NotAPush(f"{error}") from None
        return None

    def _line(self, packet: bytes) -> None:
        text = packet.decode("utf-8", "surrogateescape")
        if text.startswith("push-cert"):
            raise NotAPush("signed pushes are not passed on; push without --signed")
        line, nul, capabilities = text.partition("\0")
        if nul:
            if self._commands or self._capabilities:
                raise NotAPush("capabilities twice")
            listed = capabilities.removesuffix("\n").split(" ")
            self._capabilities = tuple(c for c in listed if c)
            if not all(_CAPABILITY.match(c) for c in self._capabilities):
                raise NotAPush("a capability that is none")
            if self.wants("push-options"):
                raise NotAPush("push options are not passed on; push without -o")
            if self.wants("push-cert"):
                raise NotAPush("signed pushes are not passed on; push without --signed")
        else:
            line = line.removesuffix("\n")
        if match := _SHALLOW.match(line):
            if self._commands:
                raise NotAPush("a shallow line after a command")
            self._shallow.append(match[1])
        elif match := _COMMAND.match(line):
            self._commands.append(RefUpdate(match[1], match[2], match[3]))
        else:
            raise NotAPush("a line that is no command")

    def wants(self, name: str) -> bool:
        """Whether a capability was asked for."""
        return any(c.partition("=")[0] == name for c in self._capabilities)

    def _whole(self) -> Push:
        names = [n for c in self._commands for n in (c.old, c.new)] + self._shallow
        if len({len(name) for name in names}) > 1:
            raise NotAPush("object names of different lengths")
        refs = [command.ref for command in self._commands]
        if len(set(refs)) < len(refs):
            raise NotAPush("one ref twice")
        if self._shallow and not self._commands:
            raise NotAPush("shallow lines without a command")
        return Push(tuple(self._shallow), tuple(self._commands), self._capabilities)
