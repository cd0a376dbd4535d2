"""The ingest listener's addresses for feedback.

| address | takes |
|---|---|
| `POST /api/claude_cli_feedback` | a bug report, in the shapes of `parts` |
| `DELETE /api/v1/feedback/{id}` | a withdrawal, by the sender's key or the report's secret |
| `POST /api/v1/survey` | `{"rating": "1"}`: an answer of the survey and nothing else |

Rules kept here:

* A report is answered with its id after it is durable.
* A survey answer has no sender. The request is refused when it holds anything that is not needed to
  send one: a query, a field, or a header that is not in the list, a credential, a cookie and the
  ids of a trace among them. What hops on the way add about themselves is in the list, and not read.
* Sizes, rates and requests under way are bounded by `ingest.door`, how many reports an account
  sends in a day and has on disk by `ingest.shares`; reports are read on a thread of their own, one
  at a time, one of each account in turn.

Rows: F1, F3, F4.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bailee.clock import Clock
from bailee.errors import InputError, PolicyDenied
from bailee.feedback.parts import read
from bailee.feedback.reports import BY_SECRET, Origin, Report, Reports, Whose
from bailee.feedback.survey import Survey
from bailee.ingest.bodies import unpacked
from bailee.ingest.door import Door, DoorLimits, bearer
from bailee.ingest.quotas import Rate
from bailee.ingest.shares import Share
from bailee.ingest.turns import SenderTurns
from bailee.lasting import Lasting
from bailee.vault.exchange import Terms

REPORTS: Final = DoorLimits(
    body=16 << 20,
    plain=32 << 20,
    seconds=60.0,
    waiting=4,
    together=128,
    bytes_per_account=Rate(256 << 10, 64 << 20),
    requests_per_account=Rate(0.2, 30),
    requests_per_address=Rate(5, 300),
    failures_per_address=Rate(1, 60),
)
"""For reports: few, and large ones among them."""

ANSWERS: Final = DoorLimits(seconds=10.0, requests_per_address=Rate(0.2, 60))
"""For the survey: an office behind one address may answer, a flood from it does not count long."""

LARGEST_ANSWER: Final = 64
NEEDED: Final = frozenset(
    {
        *("host", "content-type", "content-length", "transfer-encoding", "user-agent"),
        *("accept", "accept-encoding", "accept-language", "connection", "keep-alive"),
        # What proxies on the way say.
        *("via", "forwarded", "x-real-ip", "x-forwarded-for", "x-forwarded-host"),
        *("x-forwarded-port", "x-forwarded-proto", "x-forwarded-server"),
    }
)
"""The headers that a survey answer may come with."""


@dataclass(frozen=True, slots=True)
class ReportSender:
    """Who sends a report: where it is from, and on what terms it is kept (None: the policy keeps
    none of theirs). `whose`: the reports that they may withdraw, if any.
    """

    origin: Origin
    terms: Terms | None
    whose: Whose | None

    @property
    def account_id(self) -> str:
        """See `ingest.door.Sends`."""
        return self.origin.account_id


class ReportAccess(Protocol):
    """Looks up API keys. The server wires it in. Called on the listener's event loop's thread, and
    on the receiver's own while a report is kept, so it only looks up.
    """

    def sender(self, key: bytes) -> ReportSender | None:
        """Whose key this is, or None."""


class ReportReceiver:
    """The addresses over one home's reports and survey.

    The server makes it and closes it; its routes are called on the ingest's event loop. It owns its
    doors and the thread `reports`, on which bodies are read and kept. It decides nobody's terms,
    and shows no report.
    """

    def __init__(
        self,
        reports: Reports,
        survey: Survey,
        access: ReportAccess,
        clock: Clock,
        *,
        latest: Clock | None = None,
        limits: DoorLimits = REPORTS,
        answers: DoorLimits = ANSWERS,
        share: Callable[[str], Share] = lambda _: Share(),
    ) -> None:
        """`latest`: the time by which is told what may be read, if that is not `clock`'s; `share`:
        what an account (by its id) may send, and have on disk, at the moment.
        """
        self._reports = reports
        self._survey = survey
        self._access = access
        self._clock = clock
        self._latest = latest or clock
        self._door = Door(access.sender, limits)
        self._answers: Door[ReportSender] = Door(access.sender, answers)
        self._share = share
        self._turns = SenderTurns("reports")
        self.routes: Final = [
            Route("/api/claude_cli_feedback", self._report, methods=["POST"]),
            Route("/api/v1/feedback/{report}", self._withdrawal, methods=["DELETE"]),
            Route("/api/v1/survey", self._answer, methods=["POST"]),
        ]

    @property
    def under_way(self) -> int:
        """How many reports and withdrawals are under way now."""
        return self._door.under_way

    def threads(self) -> list[Lasting]:
        """Its thread, for whoever watches."""
        return [self._turns.thread]

    def close(self) -> None:
        """Let the thread end."""
        self._turns.close()

    def _used_up(self, account_id: str) -> tuple[str, int] | None:
        return self._reports.over(self._share(account_id), account_id)

    async def _report(self, request: Request) -> Response:
        key = bearer(request)

        async def answer() -> Response:
            async with self._door.admitted(request, key, self._used_up) as (sender, body):
                account = sender.account_id
                encoding = request.headers.get("content-encoding", "")
                sent_as = request.headers.get("idempotency-key")
                most = self._door.limits.plain
                try:
                    plain = await self._turns.do(account, lambda: unpacked(body, encoding, most))
                except InputError:
                    self._door.charge(sender, most - len(body))  # what a bomb costs
                    raise
                self._door.charge(sender, len(plain) - len(body))
                kept = await self._turns.do(
                    account, lambda: self._keep(sender, plain, sent_as, key)
                )
            return _json(
                {
                    "feedback_id": kept.id,
                    "kept_until": kept.expires_at.isoformat(),
                    "clause": kept.terms.clause,
                    "withdrawal_secret": self._reports.secret(kept.id),
                }
            )

        return await self._door.answered(answer, _problem)

    def _keep(
        self, sender: ReportSender, plain: bytes, sent_as: str | None, key: bytes | None
    ) -> Report:
        parts = read(plain)
        if sender.terms is None:
            raise PolicyDenied("the policy keeps no report that comes with this key.")
        if sent_as is not None and len(sent_as) > 200:
            raise InputError("the idempotency key is too long.")
        return self._reports.keep(
            sender.origin,
            parts,
            sender.terms,
            sent_as,
            still=lambda: key is not None and self._access.sender(key) is not None,
        )

    async def _withdrawal(self, request: Request) -> Response:
        report_id, secret = (
            request.path_params["report"],
            request.headers.get("x-withdrawal-secret"),
        )

        async def answer() -> Response:
            if secret is not None:
                # The door counts tries by address; a secret is no key, so none is looked up.
                await self._door.anonymous(request, 0)
                if not self._reports.is_secret(report_id, secret):
                    raise _no_such()
                by, turn = BY_SECRET, "strangers"
                report = await self._turns.do(
                    turn, lambda: self._reports.get(report_id, self._latest())
                )
            else:
                async with self._door.admitted(request, bearer(request)) as (sender, _):
                    if sender.whose is None:
                        raise InputError(
                            "this key can only send.",
                            code="forbidden",
                            hint="use the report's withdrawal secret, or a key of the account",
                        )
                    whose, by = sender.whose, sender.origin.person_id or sender.origin.key_id
                    turn = sender.account_id
                    report = await self._turns.do(
                        turn, lambda: self._reports.get(report_id, self._latest(), whose)
                    )
            receipt = await self._turns.do(
                turn, lambda: self._reports.withdraw(report, self._clock(), by=by)
            )
            return _json({"feedback_id": report_id, "receipt": receipt.id, "state": receipt.state})

        return await self._door.answered(answer, _problem)

    async def _answer(self, request: Request) -> Response:
        async def answer() -> Response:
            body = await self._answers.anonymous(request, LARGEST_ANSWER)
            unneeded = set(request.headers.keys()) - NEEDED
            if unneeded or request.url.query:
                raise InputError(
                    "the request holds more than an answer needs.",
                    hint="send no key, cookie, id or query: only what HTTP needs",
                )
            given = _rating(body)
            version = self._survey.version_of(request.headers.get("user-agent", ""))
            day = self._clock().date()
            await self._turns.do("answers", lambda: self._survey.add(given, version, day))
            return _json({})

        return await self._answers.answered(answer, _problem)


def _rating(body: bytes) -> str:
    """The one member of a survey's answer. Raises `InputError` for anything else."""
    try:
        pairs = json.loads(body, object_pairs_hook=tuple)  # an object is a tuple, an array a list
    except (ValueError, RecursionError):
        pairs = None
    if isinstance(pairs, tuple) and len(pairs) == 1:
        name, given = pairs[0]
        if name == "rating" and isinstance(given, str):
            return given
    raise InputError("the body is not a survey's answer.", hint='send {"rating": "1"} alone')


def _no_such() -> InputError:
    return InputError("there is no such report, or it is no longer kept.", code="not_found")


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def _problem(status: int, text: str, _seconds: int) -> Response:
    return _json({"error": {"message": text}}, status)
