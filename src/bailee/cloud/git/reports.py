"""The answer to a push: written when it is refused here, read when it comes from upstream. Pure.

After gitprotocol-pack, "Report Status". Git shows `ng` as `! [remote rejected] ref (reason)`, and
what comes in side band 2 with `remote: ` before it.
"""

from __future__ import annotations

from bailee.cloud.git.pktlines import Marker, NotAPacket, PacketReader, band, encode
from bailee.cloud.git.pushes import Push

_LONGEST_RECORDED = 64 * 1024


def refusal(push: Push, reasons: dict[str, str], message: str) -> bytes:
    """Nothing was pushed: `reasons` by ref, `message` for the person."""
    lines = [encode(b"unpack ok\n")]
    for command in push.commands:
        reason = reasons.get(command.ref, "not pushed: another ref of this push was refused")
        line = f"ng {command.ref} {reason}\n".encode("utf-8", "surrogateescape")
        lines.append(encode(line))
    report = b"".join(lines) + encode(Marker.FLUSH)
    if not (push.can("report-status") or push.can("report-status-v2")):
        report = b""
    if not push.can("side-band-64k"):
        return report
    return band(2, f"bailee: {message}\n".encode()) + band(1, report) + encode(Marker.FLUSH)


class ReportReader:
    """Reads upstream's report as it passes; `accepted` once it is known."""

    def __init__(self, *, banded: bool) -> None:
        self._outer = PacketReader()
        self._inner = PacketReader() if banded else self._outer
        self._banded = banded
        self._readable = True
        self._seen = 0
        self._ok = 0
        self._bad = 0

    @property
    def accepted(self) -> bool | None:
        """Whether every ref was taken; None when nothing was said that could be understood."""
        if not self._readable or not (self._ok or self._bad):
            return None
        return self._bad == 0

    def feed(self, data: bytes) -> None:
        """More of the answer."""
        self._seen += len(data)
        if not self._readable or self._seen > _LONGEST_RECORDED:
            return
        try:
            self._outer.feed(data)
            if self._banded:
                while (packet := self._outer.next()) is not None:
                    if isinstance(packet, bytes) and packet[:1] == b"\x01":
                        self._inner.feed(packet[1:])
            while (packet := self._inner.next()) is not None:
                if isinstance(packet, bytes):
                    self._ok += packet.startswith(b"ok ")
                    self._bad += packet.startswith((b"ng ", b"unpack ")) and not packet.startswith(
                        b"unpack ok"
                    )
        except NotAPacket:
            self._readable = False
