"""A person's privacy: label, choice, sessions, reports, consent records and receipts.

Rows: T2, T3, R6.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import orjson
from starlette.responses import RedirectResponse, Response, StreamingResponse

from bailee.accounts import Account
from bailee.accounts.choices import choice_named
from bailee.cases import CaseKind
from bailee.console.asking import Ask
from bailee.console.conversations import shown_session
from bailee.console.frame import PageTemplates
from bailee.console.label import label
from bailee.console.parts import Parts
from bailee.console.views import asked_of, order_of, views_of
from bailee.console.visitor import Visitor
from bailee.db.pages import Order
from bailee.errors import InputError
from bailee.operations import (
    accounts,
    activation,
    choices,
    erasure,
    feedback,
    keeping,
    receipts,
    requests,
    retention,
    sessions,
    training,
)
from bailee.operations.erasure import ArchivePiece
from bailee.operations.receipts import ErasureSummary
from bailee.operations.retention import MoveSummary
from bailee.operations.sessions import SessionSummary
from bailee.operations.transcript import ExchangeSide
from bailee.policy.notice import notice

_SHOWN = 200
_GOING = 20
_DIGITS = 9  # of an exchange's number


class Privacy:
    """The handlers of a person's privacy, each of which takes an `Ask`. The site calls them on its
    worker threads, several at once. It keeps nothing between requests. It chooses nothing for
    anybody, and shows a person what is theirs alone.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._parts = parts
        self._do = parts.do
        self._frame = frame

    def page(self, ask: Ask) -> Response:
        """The label first, then the switch, then all that is held."""
        language = ask.words.language
        account = ask.person.account
        label_of = account or self._organisation_account(ask)
        node = self._parts.node
        policy = node.policy if label_of is None else node.policy_of(label_of)
        latest, history, destroyed, move, asked, unfiled, unkept = [], [], [], None, None, None, []
        exported, following, receipts_go_on = [], None, False
        total, disk, going = 0, None, None
        order = order_of(ask, Order.NEWEST)
        reports = self._do(ask, feedback.list_, limit=_SHOWN)
        if account is not None:
            owner = account.account_id
            after = ask.query.get("after") or None
            unfiled = self._do(ask, sessions.unfiled, owner, wait=True)
            page = self._do(ask, sessions.list_, owner, after, _SHOWN, order=order)
            latest, following = page.items, page.next
            total = self._do(ask, sessions.count, owner)
            going = self._do(ask, keeping.going, owner, limit=_GOING)
            unkept = self._do(ask, sessions.unkept, owner)
            history = self._do(ask, choices.history)
            exported = self._do(ask, training.mine)
            gone = self._do(ask, receipts.list_, owner=owner, limit=_SHOWN)
            destroyed, receipts_go_on = gone.items, gone.next is not None
            move = self._move(ask, account)
            disk = self._do(ask, accounts.show)
            asked = self._parts.node.registry.choices.asked(account)
        return self._frame.page(
            ask,
            "privacy.html",
            here="privacy",
            account=account,
            label_of=label_of,
            privacy_label=label_of and label(policy, label_of, self._parts.running, language),
            notice=notice(policy, account.plan, language)
            if account and self._chooses(account)
            else [],
            asked=asked is not None and asked.asks,
            changed=self._do(ask, activation.notices, language),
            asked_clause=asked and asked.clause,
            decide_by=policy.document.decide_by,
            sessions=latest,
            sessions_asked=asked_of("own-sessions", ask.query),
            order=order,
            views=views_of(self._parts, ask, "own-sessions"),
            next=following,
            total=total,
            going=going,
            reports=reports.items,
            reports_go_on=reports.next is not None,
            history=history[::-1],
            exported=exported,
            receipts=destroyed,
            receipts_go_on=receipts_go_on,
            move=move,
            unfiled=unfiled,
            unkept=unkept,
            disk=disk,
            asked_for=self._do(ask, requests.mine),
            request_kinds=list(CaseKind),
        )

    def choice_page(self, ask: Ask) -> Response:
        """The choice alone, for who has not made it: shown after signing in."""
        account = ask.person.account
        if account is None or not self._chooses(account):
            return RedirectResponse("/settings/privacy", 303)
        policy = self._parts.node.policy
        return self._frame.page(
            ask,
            "choice.html",
            here="privacy",
            account=account,
            notice=notice(policy, account.plan, ask.words.language),
            decide_by=policy.document.decide_by,
            undecided=policy.explain(
                "train",
                {
                    "data_class": "transcript",
                    "plan": account.plan,
                    "channel": "api",
                    "training_choice": "none",
                    "zero_retention": False,
                    "partner_programme": False,
                    "active_since_choice": True,
                },
            ).clause,
        )

    def choose(self, ask: Ask) -> Response:
        """Make or change the choice; it holds for the next request."""
        choice = ask.form.get("choice")
        if choice not in ("allowed", "refused"):
            raise InputError(ask.words("sign_up.choose"))
        self._parts.do(ask, choices.choose, choice_named(choice), ask.words.language)
        return RedirectResponse("/settings/privacy#choice", 303)

    def saw_terms(self, ask: Ask) -> Response:
        """Note that the person has seen which of their terms changed."""
        number = ask.form.get("number", "")
        if not number.isdecimal() or len(number) > _DIGITS:
            raise InputError(ask.words("sessions.gone"), code="not_found")
        self._do(ask, activation.seen, int(number))
        return RedirectResponse("/settings/privacy", 303)

    def session(self, ask: Ask) -> Response:
        """One of the person's own sessions: what is known of it, what was said, deleting it."""
        session = self._own_session(ask)
        shown = self._do(ask, sessions.show, session.id, wait=False)
        return self._frame.page(
            ask,
            "session.html",
            here="privacy",
            session=session,
            said=shown_session(shown),
            may_keep=self._do(ask, keeping.may_keep, session.id),
            resumed_by=self._parts.node.policy.resumes(
                session_deleted=True, account_erased=False
            ).clause,
        )

    def raw(self, ask: Ask) -> Response:
        """What of an exchange of one of the person's own sessions is kept as bytes."""
        session = self._own_session(ask)
        return raw(self._parts, ask, session.id, ask.path["exchange"], ask.path["side"])

    def delete(self, ask: Ask) -> Response:
        """Delete one of the person's own sessions; the receipt is on the page that follows."""
        self._do(ask, sessions.delete, self._own_session(ask).id)
        return RedirectResponse("/settings/privacy#receipts", 303)

    def keep(self, ask: Ask) -> Response:
        """Keep one of the person's own sessions beyond its time, through a day if one is named."""
        session = self._own_session(ask).id
        day = ask.form.get("until", "")
        most = self._do(ask, keeping.may_keep, session).most
        self._do(ask, keeping.keep, session, _end_of(ask, day, most) if day else None)
        return RedirectResponse(f"/settings/sessions/{session}", 303)

    def release(self, ask: Ask) -> Response:
        """Take that back."""
        session = self._own_session(ask).id
        left = self._do(ask, keeping.release, session)
        there = f"/settings/sessions/{session}" if left else "/settings/privacy#sessions"
        return RedirectResponse(there, 303)

    def export(self, ask: Ask) -> Response:
        """A copy of all that is held about the person, streamed as it is made."""
        return archive(self._parts, ask, ask.person.person)

    def erase_page(self, ask: Ask) -> Response:
        """What goes, what stays, and the form to type one's email into."""
        return self._erase_page(ask, None)

    def erase(self, ask: Ask) -> Response:
        """Erase oneself; what follows is the receipt, and nobody is signed in any more."""
        if ask.form.get("confirmation", "").strip().lower() != ask.person.email.lower():
            return self._erase_page(ask, ask.words("erase.not_the_email"))
        erased = self._do(ask, erasure.erase, ask.person.person)
        gone = replace(ask, visitor=Visitor())
        response = self._frame.page(gone, "erased.html", erased=erased, signed=as_text(erased))
        response.delete_cookie(self._parts.cookie, secure=self._parts.secure)
        return response

    # -- inside ----------------------------------------------------------------------------------

    def _erase_page(self, ask: Ask, problem: str | None) -> Response:
        account = ask.person.account
        count = 0 if account is None else self._do(ask, sessions.count, account.account_id)
        return self._frame.page(
            ask,
            "erase.html",
            200 if problem is None else 400,
            here="privacy",
            sessions=count,
            problem=problem,
        )

    def _move(self, ask: Ask, account: Account) -> MoveSummary | None:
        """How far the account's sessions have come in following the choice, while they do."""
        moves = self._do(ask, retention.list_moves, account.account_id).items
        return next((one for one in moves if one.state == "moving"), None)

    def _own_session(self, ask: Ask) -> SessionSummary:
        """The session in the address, if it is this person's: of nobody else's is said that it
        exists.
        """
        account = ask.person.account
        if account is None:
            raise InputError(ask.words("sessions.gone"), code="not_found")
        return particulars(self._parts, ask, account.account_id)

    def _chooses(self, account: Account) -> bool:
        return self._parts.node.policy.plans[account.plan].segment == "consumer"

    def _organisation_account(self, ask: Ask) -> Account | None:
        for place in ask.person.memberships:
            return self._parts.node.registry.organisations.account(place.organisation)
        return None


def _end_of(ask: Ask, day: str, most: datetime | None) -> datetime:
    """The end of a day, as pages show days; on the last day that is allowed, what is allowed."""
    try:
        given = date.fromisoformat(day)
        end = datetime.combine(given + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError):
        raise InputError(ask.words("keeping.no_day")) from None
    return most if most is not None and given == most.date() else end


def particulars(parts: Parts, ask: Ask, owner: str | None = None) -> SessionSummary:
    """The particulars of the session in the address, among those of an owner or of all.

    Raises:
        InputError: `not_found`, in the reader's language.
    """
    try:
        return parts.do(ask, sessions.find, ask.path["session"], owner)
    except InputError as error:
        if error.code != "not_found":
            raise
        raise InputError(ask.words("sessions.gone"), code="not_found") from None


def raw(parts: Parts, ask: Ask, session: str, exchange: str, side: str) -> Response:
    """What of an exchange is kept as bytes, as a file."""
    if side not in tuple(ExchangeSide) or not exchange.isdecimal() or len(exchange) > _DIGITS:
        raise InputError(ask.words("sessions.gone"), code="not_found")
    pieces = parts.do(ask, sessions.raw, session, int(exchange), ExchangeSide(side))
    name = f"{session}-{exchange}-{side}.bin"
    return StreamingResponse(
        (one.data for one in pieces),
        media_type="application/octet-stream",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def archive(parts: Parts, ask: Ask, person: str) -> Response:
    """A ZIP archive of all that is held about a person."""
    found = parts.node.registry.people.get(person).person_id  # also what the file is named by
    items = parts.do(ask, erasure.export, found)
    pieces = (item.data for item in items if isinstance(item, ArchivePiece))
    name = f"bailee-{found}-{ask.now:%Y-%m-%d}.zip"
    return StreamingResponse(
        pieces,
        media_type="application/zip",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def as_text(erased: ErasureSummary) -> str:
    """A signed receipt as text to keep."""
    return orjson.dumps(erased.signed, option=orjson.OPT_INDENT_2).decode()
