"""An exchange, as a dialogue: what it is told, and what it then says. No socket, loop or clock."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.admission import Held, ShareLimits, Shares
from bailee.errors import InputError, UpstreamError
from bailee.gateway.access import Caller, Passage
from bailee.gateway.http1 import parse_answer_head, parse_request_head
from bailee.gateway.phases import KEPT, PASSED, WRITING, Do, Phase, Table
from bailee.gateway.recorded_exchange import RecordedExchange, kind_of
from bailee.gateway.recording import Keeping, NotKept
from bailee.gateway.routes import GatewayRoute
from bailee.gateway.settings import GatewayLimits
from bailee.gateway.uplink import Addressee
from bailee.vault.exchange import Terms

TERMS = Terms("P30D", "test.clause", "0" * 64)
CALLER = Caller("a", "k", "n", "p", False, lambda _: TERMS, lambda *_: Passage(True, "test"))
PLAIN = Addressee(b"", b"Host: up\r\n", b"x-api-key: ours\r\n")
SIGNED = Addressee(b"", b"Host: up\r\n", None, needs_body=True)
STREAM = b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
EVENT = b"event: a\ndata: 1\n\n"
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
ENDED = b"0\r\n\r\n"
CLOSED = UpstreamError("The upstream closed.", code="upstream_closed")
LIMITS = GatewayLimits(upstream_silence=60.0, client_stalled=30.0, ping=15.0)


def chunk(data: bytes) -> bytes:
    """One chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Said(NamedTuple):
    """What an exchange said: bytes for the client, bytes for the upstream, and what to do."""

    down: bytes
    up: bytes
    out: list[Do]


NOTHING = Said(b"", b"", [])


class Dialogue:
    """Tells one exchange what happens, at the second `now`; gives what it says to that."""

    def __init__(
        self,
        *,
        kept: bool = True,
        method: str = "POST",
        version: str = "1.1",
        lines: str = "",
        addressee: Addressee = PLAIN,
        must_record: bool = True,
        governed: bool = False,
    ) -> None:
        body = "" if method == "GET" else "Content-Length: 4\r\n"
        raw = f"{method} /v1/messages HTTP/{version}\r\nHost: g\r\n{body}{lines}\r\n".encode()
        self.shares = Shares(ShareLimits(9, 1 << 20, 1 << 20))
        held = self.shares.enter("a", "k", 0, full=False)
        assert isinstance(held, Held)
        self.now = 1.0
        head = parse_request_head(raw)
        keeps = Keeping(TERMS) if kept else NotKept("zero_retention")
        self.exchange = kind_of(keeps)(
            head,
            GatewayRoute("api", b"/v1/messages", "/v1/messages", "conversation", pings=True),
            caller=CALLER,
            addressee=addressee,
            kept=keeps,
            passthrough=False,
            closes=not head.keep_alive,
            max_body=1 << 20,
            exchange_id="req_1",
            held=held,
            shares=self.shares,
            limits=LIMITS,
            must_record=must_record,
            now=self.now,
            started=0.0,
            governed=governed,
        )
        self.exchange.begin()

    @property
    def recording(self) -> RecordedExchange:
        """It, when it is kept."""
        assert isinstance(self.exchange, RecordedExchange)
        return self.exchange

    def said(self) -> Said:
        """Take out what it said."""
        told = self.exchange
        said = Said(told.down, told.up, list(told.out))
        told.down = told.up = b""
        told.out.clear()
        return said

    def asks(self, data: bytes = b"body", *, done: bool = True) -> Said:
        """The client sends of its body."""
        self.exchange.request_data(data, done, self.now)
        return self.said()

    def connected(self, *, pooled: bool = True) -> Said:
        """There is a connection to the upstream."""
        self.exchange.connected(self.now, pooled=pooled)
        return self.said()

    def head(self, lines: bytes = STREAM, status: int = 200) -> Said:
        """The upstream's answer begins."""
        raw = b"HTTP/1.1 %d OK\r\n%b\r\n" % (status, lines)
        self.exchange.answer_head(parse_answer_head(raw, b"POST"))
        return self.said()

    def answers(self, data: bytes = b"", *, done: bool = False) -> Said:
        """The upstream sends of its answer."""
        self.exchange.answer_data(data, done, self.now)
        return self.said()

    def lost(self, *, heard: bool = False) -> Said:
        """The upstream's connection ends."""
        self.exchange.upstream_lost(CLOSED, heard=heard)
        return self.said()

    def leaves(self) -> Said:
        """The client goes."""
        self.exchange.client_lost()
        return self.said()

    def recorded(self, *, stored: bool = True) -> Said:
        """The recorder is done; it has taken what it asked for."""
        self.recording.recorded(stored, self.now)
        return self.said()

    def full(self, full: bool) -> Said:
        """The client takes nothing more, or does again."""
        self.exchange.client_full(full, self.now)
        return self.said()

    def tick(self, seconds: float, *, body_late: bool = False) -> Said:
        """Time passes."""
        self.now += seconds
        self.exchange.tick(self.now, body_late=body_late)
        return self.said()

    @property
    def outcome(self) -> tuple[int, str, str]:
        """Status, outcome and error of what is said of it."""
        summary = self.exchange.summary(1.0)
        return summary.status, summary.outcome, summary.error

    def under_way(self, *, pooled: bool = True) -> Dialogue:
        """Up to the moment when the whole request is written."""
        self.asks()
        self.connected(pooled=pooled)
        return self


def test_a_stream_that_is_kept_ends_once_it_is_recorded() -> None:
    """Everything before the last event passes at once; that waits for the record, its end too."""
    told = Dialogue()
    assert Said(b"", b"", [Do.TAKE]) == told.asks()
    _, up, out = told.connected()
    assert (True, True, []) == (b"x-api-key: ours\r\n" in up, up.endswith(b"\r\n\r\nbody"), out)
    assert NOTHING == told.head()
    down, _, out = told.answers(EVENT)
    assert (True, True, []) == (down.startswith(b"HTTP/1.1 200"), down.endswith(chunk(EVENT)), out)
    assert Said(b"", b"", [Do.RECORD, Do.PAUSE_UPSTREAM]) == told.answers(STOP)
    assert (b"body", EVENT + STOP) == (
        (record := told.recording.captured(1.0)).request,
        record.answer,
    )
    assert Said(chunk(STOP), b"", [Do.RESUME_UPSTREAM]) == told.recorded()
    assert Said(ENDED, b"", [Do.RELEASE, Do.FINISHED]) == told.answers(done=True)
    assert (200, "complete", "") == told.outcome


def test_a_head_without_a_body_takes_no_connection() -> None:
    """Of who sends a head and nothing after it, nothing goes upstream; a first byte takes one."""
    told = Dialogue()
    assert NOTHING == told.asks(b"", done=False)
    assert [Do.TAKE] == told.asks(b"b", done=False).out


def test_an_end_that_comes_with_the_last_event_waits_with_it() -> None:
    """The connection is free for others, and the client waits for the record."""
    told = Dialogue().under_way()
    told.head()
    assert Said(b"", b"", [Do.RELEASE, Do.RECORD])[1:] == told.answers(STOP, done=True)[1:]
    assert Said(chunk(STOP) + ENDED, b"", [Do.FINISHED]) == told.recorded()


def test_what_is_not_kept_passes_at_once() -> None:
    """No record is asked for, and its end waits for nothing."""
    told = Dialogue(kept=False).under_way()
    told.head()
    down, _, out = told.answers(EVENT + STOP, done=True)
    assert (True, [Do.RELEASE, Do.FINISHED]) == (down.endswith(ENDED), out)
    assert NOTHING == told.leaves()


@pytest.mark.parametrize("must_record", [True, False])
def test_what_can_not_be_recorded_is_refused_unless_the_policy_lets_it_pass(
    must_record: bool,
) -> None:
    """A document of which nothing went yet becomes a refusal; else it goes, and is counted."""
    told = Dialogue(must_record=must_record).under_way()
    told.head(b"Content-Length: 2\r\n")
    assert Said(b"", b"", [Do.RELEASE, Do.RECORD]) == told.answers(b"{}", done=True)
    told.recording.captured(1.0)
    down, _, out = told.recorded(stored=False)
    if must_record:
        assert (b"HTTP/1.1 503", [Do.FINISHED]) == (down[:12], out)
    else:
        assert (b"{}", [Do.UNRECORDED, Do.FINISHED]) == (down[-2:], out)


def test_a_request_whose_last_byte_was_written_is_not_written_again() -> None:
    """Whatever became of it: the client hears so."""
    told = Dialogue(kept=False).under_way()
    down, up, out = told.lost()
    assert (b"HTTP/1.1 502", b"", [Do.FINISHED]) == (down[:12], up, out)


def test_a_request_that_was_not_whole_goes_again_once() -> None:
    """From its first byte, over a new connection; and not when that is lost too."""
    told = Dialogue(kept=False)
    told.asks(b"bo", done=False)
    _, first, _ = told.connected()
    assert Said(b"", b"", [Do.CONNECT]) == told.lost()
    assert NOTHING == told.asks(b"d", done=False)
    assert Said(b"", first + b"d", []) == told.connected(pooled=False)
    assert [Do.FINISHED] == told.lost().out


@pytest.mark.parametrize(
    ("heard", "pooled"), [(True, True), (False, False)], ids=["something came", "new connection"]
)
def test_a_request_does_not_go_again(heard: bool, pooled: bool) -> None:
    """After anything of an answer came, or over a connection that was new, it is an error."""
    told = Dialogue(kept=False)
    told.asks(b"bo", done=False)
    told.connected(pooled=pooled)
    assert [Do.FINISHED] == told.lost(heard=heard).out


def test_a_get_goes_again_whole() -> None:
    """It asks for nothing to be done."""
    told = Dialogue(kept=False, method="GET")
    told.asks(b"")
    assert ([], [Do.CONNECT]) == (told.connected().out, told.lost().out)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_goes_no_further(status: int) -> None:
    """It is an error of the upstream's, and its connection ends."""
    told = Dialogue(kept=False).under_way()
    down, _, out = told.head(b"Location: http://x\r\nContent-Length: 0\r\n", status)
    assert (b"HTTP/1.1 502", [Do.DROP, Do.FINISHED]) == (down[:12], out)
    assert b"http://x" not in down
    assert NOTHING == told.answers(b"", done=True)


def test_an_answer_before_the_request_is_whole_ends_the_connection() -> None:
    """The client reads so in its head, and what it still sends goes up no more after the end."""
    told = Dialogue(kept=False)
    told.asks(b"bo", done=False)
    told.connected()
    told.head(b"Content-Length: 2\r\n", 429)
    down, _, out = told.answers(b"{}", done=True)
    assert b"\r\nConnection: close\r\n" in down
    assert ([Do.RELEASE, Do.FINISHED], True) == (out, told.exchange.closes)
    assert NOTHING == told.asks(b"dy")


def test_a_client_of_http_1_0_gets_a_stream_that_ends_by_closing() -> None:
    """Without chunks; and one that breaks off is reset, since a close would be its end."""
    told = Dialogue(kept=False, version="1.0").under_way()
    told.head()
    down = told.answers(b"data: half").down
    assert (True, False) == (down.endswith(b"\r\n\r\ndata: half"), b"chunked" in down)
    assert Said(b"", b"", [Do.SAY, Do.RESET]) == told.lost(heard=True)


def test_a_stream_that_breaks_off_between_events_says_why() -> None:
    """With an error event, and never its proper end."""
    told = Dialogue(kept=False).under_way()
    told.head()
    told.answers(EVENT)
    down, _, out = told.lost(heard=True)
    assert (True, False) == (b"event: error" in down, down.endswith(ENDED))
    assert [Do.CLOSE] == out


def test_an_end_that_fails_while_the_record_is_written_is_cut() -> None:
    """The client gets its last event, and a connection that closes without the stream's end."""
    told = Dialogue().under_way()
    told.head()
    told.answers(STOP)
    assert NOTHING == told.lost(heard=True)
    assert Said(chunk(STOP), b"", [Do.CLOSE]) == told.recorded()
    assert (200, "complete", "") == told.outcome


def test_an_answer_that_is_there_whole_is_not_cut_for_what_its_client_still_sends() -> None:
    """What is wrong with the rest of the request comes too late to be its end."""
    told = Dialogue()
    told.asks(b"bo", done=False)
    told.connected()
    told.head()
    told.answers(STOP, done=True)
    told.exchange.give_up()
    assert NOTHING == told.said()
    assert Said(chunk(STOP) + ENDED, b"", [Do.FINISHED]) == told.recorded()


def test_a_client_that_leaves_is_recorded_once() -> None:
    """At once, with what came; what happens to the record then is nobody's news."""
    told = Dialogue().under_way()
    told.head()
    told.answers(EVENT)
    assert Said(b"", b"", [Do.DROP, Do.RECORD]) == told.leaves()
    assert EVENT == told.recording.captured(1.0).answer
    assert Said(b"", b"", [Do.SAY]) == told.recorded()
    assert (200, "client_aborted", "") == told.outcome


def test_neither_side_is_read_faster_than_the_other_takes_it() -> None:
    """A full client pauses the upstream, a full upstream the client."""
    told = Dialogue(kept=False)
    told.asks(b"bo", done=False)
    told.connected()
    told.exchange.uplink.fill(True)
    assert [Do.PAUSE_CLIENT] == told.said().out
    told.exchange.uplink.fill(False)
    assert [Do.RESUME_CLIENT] == told.said().out
    assert ([Do.PAUSE_UPSTREAM], [Do.RESUME_UPSTREAM]) == (
        told.full(True).out,
        told.full(False).out,
    )


def test_a_client_that_is_full_when_its_record_is_durable_still_pauses_the_upstream() -> None:
    """It is read from again when the client takes what waits."""
    told = Dialogue().under_way()
    told.head()
    told.answers(STOP)
    assert NOTHING == told.full(True)
    assert [] == told.recorded().out
    assert [Do.RESUME_UPSTREAM] == told.full(False).out


def test_what_waits_for_a_connection_is_bounded() -> None:
    """A client is read from again once there is one."""
    told = Dialogue(kept=False)
    assert [Do.TAKE] == told.asks(b"x" * 1024, done=False).out
    assert [Do.PAUSE_CLIENT] == told.asks(b"x" * (256 * 1024), done=False).out
    assert [Do.RESUME_CLIENT] == told.connected(pooled=False).out


def test_what_has_to_be_signed_is_collected_first() -> None:
    """It goes whole, behind the signature's lines."""
    told = Dialogue(kept=False, addressee=SIGNED)
    assert NOTHING == told.asks(b"bo", done=False)
    assert Said(b"", b"", [Do.SIGN]) == told.asks(b"dy")
    assert (b"POST", b"/v1/messages", b"body") == told.exchange.uplink.to_sign
    told.exchange.signed(b"authorization: signed\r\n")
    assert [Do.TAKE] == told.said().out
    assert told.connected().up.endswith(b"authorization: signed\r\n\r\nbody")


def test_who_is_late_is_told() -> None:
    """An upstream that is silent, a client whose body does not come; a client that takes nothing
    is cut.
    """
    told = Dialogue(kept=False).under_way()
    assert NOTHING == told.tick(60.0)
    assert (b"HTTP/1.1 504", [Do.DROP, Do.FINISHED]) == (
        (said := told.tick(1.0)).down[:12],
        said.out,
    )
    slow = Dialogue(kept=False)
    assert b"HTTP/1.1 408" == slow.tick(1.0, body_late=True).down[:12]
    stalled = Dialogue(kept=False).under_way()
    stalled.head()
    stalled.answers(EVENT)
    stalled.full(True)
    assert [Do.RESET, Do.DROP, Do.SAY] == stalled.tick(31.0).out


def test_a_ping_goes_between_events() -> None:
    """After a silence, and never inside an event."""
    told = Dialogue(kept=False).under_way()
    told.head()
    told.answers(EVENT)
    assert b"event: ping" in told.tick(16.0).down
    told.answers(b"data: half")
    assert b"" == told.tick(16.0).down


def ways(table: Table, phase: Phase, way: tuple[Phase, ...] = ()) -> list[tuple[Phase, ...]]:
    """Every way from a phase to the end."""
    way = (*way, phase)
    if phase is Phase.OVER:
        return [way]
    following = set(table[phase].values()) - {phase}
    return [found for after in following for found in ways(table, after, way)]


def test_the_table_has_each_kept_exchange_recorded_once_on_every_way_to_its_end() -> None:
    """One stretch of each way is one in which the record is written; of the other table, none."""
    for way in ways(KEPT, Phase.REQUEST):
        writing = [phase in WRITING for phase in way]
        assert 1 == sum(now > before for before, now in pairwise([False, *writing])), way
    assert not any(WRITING & set(way) for way in ways(PASSED, Phase.REQUEST))


EVENTS = st.sampled_from(
    [
        "part",
        "body",
        "connect",
        "head",
        "event",
        "stop",
        "end",
        "lost",
        "heard",
        "leave",
        "give up",
        "stored",
        "unstored",
        "full",
        "free",
        "time",
        "redirect",
        "late",
    ]
)


@given(
    events=st.lists(EVENTS, max_size=14),
    tail=st.lists(st.sampled_from(["stored", "unstored"]), min_size=2, max_size=2),
    kept=st.booleans(),
    must_record=st.booleans(),
)
def test_whatever_happens_it_ends_once_and_is_recorded_once(
    events: list[str], tail: list[str], kept: bool, must_record: bool
) -> None:
    """Of all that can be told in any order: one record of what is kept and none else; the end of an
    answer only after it; one summary, then at most one end; nothing held afterwards.
    """
    told = Dialogue(kept=kept, must_record=must_record)
    said: list[Do] = []
    down, stored, whole = b"", 0, 0
    waiting = writing = open_ = False
    for event in [*events, "leave", *tail]:
        now = NOTHING
        if event in ("part", "body") and not whole and not told.exchange.ended:
            now = told.asks(b"b", done=event == "body")
            whole = event == "body"
        elif event == "connect" and waiting:
            now, waiting = told.connected(pooled=len(events) % 2 == 0), False
            open_ = True
        elif event == "lost" and open_:
            now, open_ = told.lost(), False
        elif event == "heard" and open_:
            now, open_ = told.lost(heard=True), False
        elif event in ("head", "redirect") and open_ and told.exchange.phase is Phase.REQUEST:
            now = told.head(status=200 if event == "head" else 302)
        elif event in ("event", "stop", "end") and open_:
            now = told.answers({"event": EVENT, "stop": STOP}.get(event, b""), done=event == "end")
        elif event in ("stored", "unstored") and writing:
            told.recording.captured(1.0)
            now, writing, stored = told.recorded(stored=event == "stored"), False, stored + 1
        elif event == "leave":
            now = told.leaves()
        elif event == "give up":
            told.exchange.give_up()
            now = told.said()
        elif event in ("full", "free"):
            now = told.full(event == "full")
        elif event in ("time", "late"):
            now = told.tick(20.0, body_late=event == "late")
        said += now.out
        down += now.down
        waiting = waiting or Do.TAKE in now.out or Do.CONNECT in now.out
        if Do.RELEASE in now.out or Do.DROP in now.out:
            open_ = waiting = False
        writing = writing or Do.RECORD in now.out
        if kept and not stored:
            assert (False, False) == (STOP in down, chunk(STOP) + ENDED in down)
        assert said.count(Do.CONNECT) <= 1
        assert not (whole and Do.CONNECT in now.out)
    assert told.exchange.phase is Phase.OVER
    ends = [do for do in said if do in (Do.SAY, Do.FINISHED, Do.CLOSE)]
    assert (int(kept), 1) == (said.count(Do.RECORD), len(ends))
    assert said[said.index(ends[0]) + 1 :] in ([], [Do.RESET])
    assert (0, 0) == (told.shares.held, told.shares.accounts)


@pytest.mark.row("O2")
def test_what_is_governed_goes_up_only_when_it_is_whole_and_admitted() -> None:
    """Nothing goes before that; a refusal has its own lines, and nothing of it ever goes."""
    told = Dialogue(kept=False, governed=True)
    assert NOTHING == told.asks(b"bo", done=False)
    assert Said(b"", b"", [Do.SIGN]) == told.asks(b"dy")
    assert b"body" == told.exchange.uplink.to_sign[2]
    told.exchange.told = b"anthropic-ratelimit-unified-status: allowed\r\n"
    told.exchange.signed(b"x-api-key: ours\r\n")
    assert [Do.TAKE] == told.said().out
    assert told.connected().up.endswith(b"\r\n\r\nbody")
    upstreams = b"Anthropic-RateLimit-Unified-Status: rejected\r\nrequest-id: 1\r\n"
    told.head(upstreams + b"Content-Length: 2\r\n")
    head = told.answers(b"{}", done=True).down
    assert b"unified-status: allowed\r\n" in head and b"rejected" not in head
    assert b"request-id: 1" in head

    refused = Dialogue(kept=False, governed=True)
    refused.asks()
    lines = b"retry-after: 7\r\nx-should-retry: false\r\n"
    refused.exchange.refused(InputError("spent", code="usage_limit"), lines)
    said = refused.said()
    assert said.down.startswith(b"HTTP/1.1 429") and lines in said.down and b"" == said.up
    assert 1 == said.down.count(b"retry-after")
    assert [Do.DROP, Do.FINISHED] == said.out
