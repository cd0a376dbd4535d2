"""The operator's pages: what is kept and when it goes, sessions, the audit record, the policy.

Sessions are shown by what is known of them, never by what was said in them. To read one, the
operator gives a reason, and reading is in the audit record before a word is shown.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from starlette.responses import RedirectResponse, Response

from bailee.console.asking import Ask
from bailee.console.calendar import calendar
from bailee.console.conversations import shown_session
from bailee.console.frame import PageTemplates, drawn
from bailee.console.owners import called
from bailee.console.parts import Parts
from bailee.console.privacy import particulars, raw
from bailee.console.views import asked_of, order_of, views_of
from bailee.db.pages import Order
from bailee.node.promises import Promise, broken
from bailee.operations import (
    accounts,
    activation,
    audit,
    feedback,
    home,
    keys,
    policies,
    promises,
    receipts,
    retention,
    sessions,
    status,
)
from bailee.operations.sessions import SessionSummary
from bailee.policy import load
from bailee.policy.diff import change_in_words, compare, who_in_words

_SHOWN = 200


class Admin:
    """The operator's handlers, each of which takes an `Ask`. The site calls them on its worker
    threads, several at once. It keeps nothing between requests. Who may read what is decided by the
    operations that it asks.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._parts = parts
        self._do = parts.do
        self._frame = frame

    def overview(self, ask: Ask) -> Response:
        """How it stands and what waits for somebody; then what is kept, by numbers."""
        page = self._parts.do(ask, keys.list_, ask.query.get("after") or None, _SHOWN)
        unfiled = self._do(ask, sessions.unfiled, wait=True)  # before what is listed
        return self._frame.page(
            ask,
            "admin/overview.html",
            here="overview",
            found=(found := self._do(ask, status.status)),
            open_requests=sum(
                one.count for one in found.promises if one.promise is Promise.ANSWERED
            ),
            new_reports=self._do(ask, feedback.list_, state="open", limit=1).total,
            sessions=(latest := self._do(ask, sessions.list_, limit=10).items),
            owners=self._owners(latest),
            total=self._do(ask, sessions.count),
            unfiled=unfiled,
            report=self._do(ask, retention.report, wait=False),
            watch=self._do(ask, retention.watch),
            step=self._do(ask, home.clock).step,
            accounts=(held := self._do(ask, accounts.list_, limit=_SHOWN).items),
            holders=called(self._parts.node.registry, (one.account for one in held)),
            keys=page.items,
            next=page.next,
            gateway=self._parts.running.gateway,
        )

    def sessions(self, ask: Ask) -> Response:
        """Sessions by their particulars, of an account or of all."""
        owner = ask.query.get("account", "").strip() or None
        order = order_of(ask, Order.NEWEST)
        after = ask.query.get("after") or None
        unfiled = self._do(ask, sessions.unfiled, owner, wait=True)
        page = self._do(ask, sessions.list_, owner, after, _SHOWN, order=order)
        return self._frame.page(
            ask,
            "admin/sessions.html",
            here="sessions",
            account=owner or "",
            asked=asked_of("sessions", ask.query),
            order=order,
            views=views_of(self._parts, ask, "sessions"),
            sessions=page.items,
            owners=self._owners(page.items),
            next=page.next,
            total=self._do(ask, sessions.count, owner),
            unfiled=unfiled,
            unkept=self._do(ask, sessions.unkept, owner),
        )

    def session(self, ask: Ask) -> Response:
        """One session's particulars."""
        found = particulars(self._parts, ask)
        return self._frame.page(
            ask,
            "admin/session.html",
            here="sessions",
            session=found,
            owners=self._owners([found]),
            said=None,
        )

    def read(self, ask: Ask) -> Response:
        """A session's content, for a reason that goes on record first."""
        session, _ = particulars(self._parts, ask), ask.given("reason")
        shown = self._do(ask, sessions.show, session.id, wait=False)
        return self._frame.page(
            ask,
            "admin/session.html",
            here="sessions",
            session=session,
            owners=self._owners([session]),
            said=shown_session(shown),
            reason=ask.given("reason"),
        )

    def raw(self, ask: Ask) -> Response:
        """What of an exchange is kept as bytes, for a reason that goes on record first."""
        session, _ = particulars(self._parts, ask), ask.given("reason")
        return raw(self._parts, ask, session.id, ask.given("exchange"), ask.given("side"))

    def retention(self, ask: Ask) -> Response:
        """What goes when, as a picture and as a table; and what went, by receipt."""
        report = self._do(ask, retention.report)
        gone = self._do(ask, receipts.list_, after=ask.query.get("after") or None, limit=_SHOWN)
        going: Counter[date] = Counter()
        for row in report:
            going[date.fromisoformat(row.expiry_day)] += row.sessions
        picture = drawn(calendar(going, ask.now.date(), ask.words))
        return self._frame.page(
            ask,
            "admin/retention.html",
            here="retention",
            watch=self._do(ask, retention.watch),
            step=self._do(ask, home.clock).step,
            damaged=len(self._do(ask, retention.damaged)),
            report=report,
            picture=picture,
            receipts=gone.items,
            next=gone.next,
        )

    def status(self, ask: Ask) -> Response:
        """What runs, and how it stands."""
        found = self._do(ask, status.status)
        return self._frame.page(ask, "admin/status.html", here="status", found=found)

    def promises(self, ask: Ask) -> Response:
        """Whether each promise is kept now, and how that is known."""
        found = self._do(ask, promises.promises)
        return self._frame.page(
            ask,
            "admin/promises.html",
            here="promises",
            found=found,
            broken=len(broken(found.promises)),
        )

    def audit(self, ask: Ask) -> Response:
        """The entries of the audit record, the newest first."""
        kind, subject = ask.query.get("kind", "").strip(), ask.query.get("subject", "").strip()
        found = self._do(
            ask,
            audit.list_,
            kind=kind or None,
            subject=subject or None,
            after=ask.query.get("after") or None,
            limit=_SHOWN,
        )
        return self._frame.page(
            ask,
            "admin/audit.html",
            here="audit",
            entries=found.items,
            next=found.next,
            asked=asked_of("audit", ask.query),
            views=views_of(self._parts, ask, "audit"),
            kind=kind,
            subject=subject,
        )

    def difference(self, ask: Ask) -> Response:
        """What another version of the policy would change, and for whom."""
        document, found, words = _document(ask), None, ask.words
        changes: list[Mapping[str, object]] = []
        trial: policies.Trial | None = None
        if document:
            old = self._parts.node.policy.document
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "policy.toml"
                file.write_text(document, "utf-8")
                new = load(file).document
            found = compare(old, new)
            trial = self._do(ask, policies.try_document, document)
            for change in found.changes:
                before, after = change_in_words(change, words.language)
                changes.append(
                    {
                        "action": change.action,
                        "who": who_in_words(change, new, words.language),
                        "before": before,
                        "after": after,
                        "combinations": change.combinations,
                    }
                )
        return self._frame.page(
            ask,
            "admin/difference.html",
            here="policy",
            document=document,
            found=found,
            changes=changes,
            trial=trial,
        )

    def activate(self, ask: Ask) -> Response:
        """Let a document hold that was compared with the one that did, for a reason."""
        self._do(ask, activation.activate, _document(ask), against=ask.form.get("against"))
        return RedirectResponse("/policy", 303)

    def _owners(self, some: Sequence[SessionSummary]) -> dict[str, str]:
        return called(self._parts.node.registry, (one.account for one in some))


def _document(ask: Ask) -> str:
    """A document that was sent with a form, with its lines ending as in a file: browsers end them
    as in mail.
    """
    return ask.form.get("document", "").replace("\r\n", "\n")
