"""Each list as a file for a spreadsheet: all of it, and not only the page that is seen.

Rules kept here:

* A file is for whom its list is shown, and has no content where that has none. Its columns have the
  names of the HTTP API. The reference of a receipt, which opens it to whoever has it, is in none.
* It is asked for a page after the other and sent as it is made. The first page is there before
  anything is sent, so that who may not have it is told so.
* One that would have over `_MOST` rows ends with a line that says so.

Rows: R6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from starlette.responses import Response, StreamingResponse

from bailee import sheets
from bailee.console.asking import Ask
from bailee.console.parts import Parts
from bailee.console.usage import grouped_by
from bailee.console.views import order_of
from bailee.db.pages import Order
from bailee.operations import (
    accounts,
    audit,
    choices,
    cloud,
    feedback,
    holds,
    keys,
    organisations,
    people,
    receipts,
    requests,
    retention,
    sessions,
    telemetry,
    usage,
)
from bailee.operations.codec import LARGEST_PAGE, Page

Item = TypeVar("Item")
_MOST: Final = 200_000
_SESSION: Final = (
    "id", "account", "plan", "channel", "started", "last_activity", "exchanges", "kept_until",
    "retention.clause", "retention.period", "training.effect", "training.clause", "held",
    "kept.by", "kept.until",
)  # fmt: skip
_ABOUT: Final = ("about.title", "about.client", "about.folder")
_RECEIPT: Final = (
    "receipt", "kind", "subject", "data_class", "by", "state", "states.requested",
    "states.inaccessible", "states.key_destroyed", "states.backups_unrecoverable",
    "states.reclaimed", "to_come",
)  # fmt: skip
_PERSON: Final = (
    "person", "email", "account", "plan", "operator", "created", "erased",
    "organisations.organisation", "organisations.role",
)  # fmt: skip
_KEY: Final = (
    "key_id", "account", "person", "name", "plan", "zero_retention", "scope", "created",
    "created_by", "revoked", "expires", "terms.payer", "terms.payer_id",
    "terms.retention.clause", "terms.retention.period", "terms.training.effect",
)  # fmt: skip
_REQUEST: Final = (
    "request", "kind", "state", "overdue", "email", "person", "received", "due", "extended",
    "answered", "closed", "kept_until", "clause", "handled_by", "handler", "erasure",
)  # fmt: skip
_USED: Final = (
    "requests", "errors", "refused", "aborted", "estimated", "input_tokens", "output_tokens",
    "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "thinking_tokens",
    "cost_micro_usd", "unpriced", "mean_ms", "slowest_ms",
)  # fmt: skip
_ORGANISATION: Final = (
    "organisation", "name", "account", "plan", "partner_programme", "partner_since", "created",
)  # fmt: skip
_HOLD: Final = (
    "hold", "session", "report", "cloud_session", "reason", "state", "requested", "placed",
    "released",
)  # fmt: skip
_REPORT: Final = (
    "id", "state", "issue", "parts", "bytes", "received", "kept_until", "retention.clause",
    "account", "person",
)  # fmt: skip
_CLOUD: Final = (
    "session", "account", "by", "plan", "zero_retention", "agent", "network", "state", "end",
    "security", "created", "started", "last_activity", "ended",
)  # fmt: skip
_ISSUE: Final = (
    "id", "type", "where", "platform", "level", "state", "regressed", "resolved_in", "first_seen",
    "last_seen", "count", "releases",
)  # fmt: skip
_ON_DISK: Final = (
    "account", "name", "plan", "person", "organisation", "stored_bytes", "waiting_bytes",
    "telemetry_bytes", "reports_bytes",
)  # fmt: skip
_KEPT: Final = ("expiry_day", "data_class", "plan", "sessions", "kept", "exchanges", "bytes")
_CONSENT: Final = (
    "at", "purpose", "old", "new", "notice.version", "notice.language", "notice.sha256", "source",
    "record",
)  # fmt: skip


class ListFiles:
    """The handlers of lists as files, each of which takes an `Ask`; a filter of the list's page is
    one here. The site calls them on its worker threads, several at once. It keeps nothing between
    requests; all it gives comes from operations, which say whose it is.
    """

    def __init__(self, parts: Parts) -> None:
        self._do = parts.do

    # -- one's own -------------------------------------------------------------------------------

    def own_sessions(self, ask: Ask) -> Response:
        """A person's own sessions, each with what it is about."""
        owner, order = ask.person.account, order_of(ask, Order.NEWEST)
        return self._file(
            ask,
            "sessions",
            (*_SESSION, *_ABOUT),
            lambda after: (
                Page([])
                if owner is None
                else self._do(
                    ask, sessions.list_, owner.account_id, after, LARGEST_PAGE, order=order
                )
            ),
        )

    def own_receipts(self, ask: Ask) -> Response:
        """What of theirs was destroyed."""
        owner = ask.person.account
        return self._file(
            ask,
            "receipts",
            _RECEIPT,
            lambda after: (
                Page([])
                if owner is None
                else self._do(
                    ask, receipts.list_, owner=owner.account_id, after=after, limit=LARGEST_PAGE
                )
            ),
        )

    def own_reports(self, ask: Ask) -> Response:
        """The bug reports that they sent."""
        return self._file(
            ask,
            "reports",
            _REPORT,
            lambda after: self._do(ask, feedback.list_, after=after, limit=LARGEST_PAGE),
        )

    def own_consent(self, ask: Ask) -> Response:
        """Their consent records."""
        return self._file(ask, "consent", _CONSENT, lambda _: Page(self._do(ask, choices.history)))

    def cloud(self, ask: Ask) -> Response:
        """Cloud sessions, without what they were asked."""
        return self._file(
            ask,
            "cloud-sessions",
            _CLOUD,
            lambda after: self._do(ask, cloud.list_, after=after, limit=LARGEST_PAGE),
        )

    def usage(self, ask: Ask) -> Response:
        """What was used, as the page of usage groups it."""
        return self._usage(ask, None, "everybody" if ask.visitor.operator else "own")

    # -- an organisation's -----------------------------------------------------------------------

    def organisation_usage(self, ask: Ask) -> Response:
        """What its people used."""
        return self._usage(ask, ask.path["organisation"], "organisation")

    def members(self, ask: Ask) -> Response:
        """Who is in it."""
        found = self._do(ask, organisations.show, ask.path["organisation"])
        columns = ("person", "email", "role", "joined")
        return self._file(ask, "members", columns, lambda _: Page(found.members))

    # -- the operator's --------------------------------------------------------------------------

    def people(self, ask: Ask) -> Response:
        """Everybody, or whom a search finds."""
        named, order = ask.query.get("q", "").strip(), order_of(ask, Order.OLDEST)
        return self._file(
            ask,
            "people",
            _PERSON,
            lambda after: self._do(ask, people.list_, named, after, LARGEST_PAGE, order=order),
        )

    def organisations(self, ask: Ask) -> Response:
        """Every organisation."""
        return self._file(
            ask,
            "organisations",
            _ORGANISATION,
            lambda after: self._do(ask, organisations.list_, after, LARGEST_PAGE),
        )

    def keys(self, ask: Ask) -> Response:
        """Every key, without its secret."""
        return self._file(
            ask, "keys", _KEY, lambda after: self._do(ask, keys.list_, after, LARGEST_PAGE)
        )

    def accounts(self, ask: Ask) -> Response:
        """What lies on disk, by account."""
        return self._file(
            ask,
            "accounts",
            _ON_DISK,
            lambda after: self._do(ask, accounts.list_, after, LARGEST_PAGE),
        )

    def sessions(self, ask: Ask) -> Response:
        """Sessions by their particulars, of an account or of all."""
        owner = ask.query.get("account", "").strip() or None
        order = order_of(ask, Order.NEWEST)
        return self._file(
            ask,
            "sessions",
            _SESSION,
            lambda after: self._do(ask, sessions.list_, owner, after, LARGEST_PAGE, order=order),
        )

    def holds(self, ask: Ask) -> Response:
        """Legal holds."""
        return self._file(ask, "holds", _HOLD, lambda _: Page(self._do(ask, holds.list_)))

    def reports(self, ask: Ask) -> Response:
        """Bug reports by their particulars, of a state or all."""
        state = ask.query.get("state") or None
        return self._file(
            ask,
            "reports",
            _REPORT,
            lambda after: self._do(
                ask, feedback.list_, state=state, all=True, after=after, limit=LARGEST_PAGE
            ),
        )

    def issues(self, ask: Ask) -> Response:
        """Error issues, of a state or all."""
        state = ask.query.get("state", "open")
        wanted = None if state == "all" else state
        return self._file(
            ask,
            "errors",
            _ISSUE,
            lambda after: self._do(ask, telemetry.issues, wanted, after, LARGEST_PAGE),
        )

    # -- evidence --------------------------------------------------------------------------------

    def requests(self, ask: Ask) -> Response:
        """People's requests: the open ones, all, or those of an email."""
        email = ask.query.get("email", "").strip() or None
        return self._file(
            ask,
            "requests",
            _REQUEST,
            lambda after: self._do(
                ask,
                requests.list_,
                all="all" in ask.query,
                email=email,
                after=after,
                limit=LARGEST_PAGE,
            ),
        )

    def audit(self, ask: Ask) -> Response:
        """The audit record, newest first, of a kind or a subject if one is asked for."""
        kind, subject = (ask.query.get(name, "").strip() or None for name in ("kind", "subject"))
        return self._file(
            ask,
            "audit",
            ("number", "at", "kind", "subject", "body", "erased", "leaf"),
            lambda after: self._do(
                ask, audit.list_, kind=kind, subject=subject, after=after, limit=LARGEST_PAGE
            ),
        )

    def receipts(self, ask: Ask) -> Response:
        """What was destroyed, and how far that has come."""
        return self._file(
            ask,
            "receipts",
            _RECEIPT,
            lambda after: self._do(ask, receipts.list_, after=after, limit=LARGEST_PAGE),
        )

    def retention(self, ask: Ask) -> Response:
        """What is kept, by the day on which it goes."""
        return self._file(ask, "retention", _KEPT, lambda _: Page(self._do(ask, retention.report)))

    # -- inside ----------------------------------------------------------------------------------

    def _usage(self, ask: Ask, of: str | None, whose: str) -> Response:
        by = grouped_by(ask, whose)
        return self._file(
            ask,
            f"usage-by-{by}",
            (f"group.{by}", *_USED),
            lambda _: Page([*self._do(ask, usage.show, by=(by,), of=of).rows]),
        )

    @staticmethod
    def _file(
        ask: Ask,
        name: str,
        columns: Sequence[str],
        page: Callable[[str | None], Page[Item]],
    ) -> Response:
        told = f'attachment; filename="bailee-{name}-{ask.now:%Y-%m-%d}.csv"'
        return StreamingResponse(
            _lines(ask, columns, page(None), page),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": told},
        )


def _lines(
    ask: Ask,
    columns: Sequence[str],
    first: Page[Item],
    page: Callable[[str | None], Page[Item]],
) -> Iterator[str]:
    """The file, a page after the other."""
    yield sheets.BOM + sheets.row(one.removeprefix("group.") for one in columns)
    found, count = first, 0
    while True:
        yield "".join(sheets.row(_of(one, name) for name in columns) for one in found.items)
        count += len(found.items)
        if found.next is None:
            return
        if count >= _MOST:
            yield sheets.row([ask.words("frame.sheet_goes_on", count=count)])
            return
        found = page(found.next)


def _of(item: object, name: str) -> object:
    """What an item has under a name, and that under the next one; of several, what each has."""
    if item is None or not name:
        return item
    if isinstance(item, list):
        return [_of(one, name) for one in item]
    first, _, rest = name.partition(".")
    return _of(item.get(first) if isinstance(item, Mapping) else getattr(item, first), rest)
