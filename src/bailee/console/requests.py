"""The pages about people's requests: the officer's list and each request's page, and a person's own
on their privacy page.

Rows: R6.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time

from starlette.responses import RedirectResponse, Response, StreamingResponse

from bailee.cases import CaseKind
from bailee.cases.letter import LetterForm
from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.errors import InputError
from bailee.operations import holds, request_work, requests, sessions
from bailee.operations.erasure import ArchivePiece
from bailee.operations.request_shown import RequestDetails, RequestInventory
from bailee.operations.sessions import SessionSummary
from bailee.policy.document import Language

_SHOWN = 200


class RequestPages:
    """The handlers of requests, each of which takes an `Ask`. The site calls them on its worker
    threads, several at once. It keeps nothing between requests. Who may do what, and under which
    name, is asked in the operations.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._parts = parts
        self._do = parts.do
        self._frame = frame

    def all(self, ask: Ask) -> Response:
        """The open requests, what is due first at the front; or those of an email."""
        return self._all(ask, None)

    def open(self, ask: Ask) -> Response:
        """Open one that came by mail."""
        try:
            made = self._do(
                ask,
                requests.open_,
                _kind(ask),
                ask.given("email").strip(),
                received=_day(ask.form.get("received", "")),
                said=ask.form.get("said", ""),
            )
        except InputError as error:
            return self._all(ask, error)
        return RedirectResponse(f"/admin/requests/{made.request}", 303)

    def one(self, ask: Ask) -> Response:
        """One request, with its steps and what can be done next."""
        return self._one(ask)

    def look(self, ask: Ask) -> Response:
        """Everything that is held about who asks."""
        try:
            found = self._do(ask, request_work.look, ask.path["request"])
        except InputError as error:
            return self._one(ask, error)
        return self._one(ask, found=found)

    def export(self, ask: Ask) -> Response:
        """The copy, as a file."""
        try:
            items = self._do(ask, request_work.export, ask.path["request"])
        except InputError as error:
            return self._one(ask, error)
        told = {"content-disposition": f'attachment; filename="{ask.path["request"]}.zip"'}
        pieces = (one.data for one in items if isinstance(one, ArchivePiece))
        return StreamingResponse(pieces, media_type="application/zip", headers=told)

    def hold(self, ask: Ask) -> Response:
        """Put a part under a legal hold."""
        return self._step(
            ask,
            lambda request: self._do(
                ask,
                request_work.hold,
                request,
                ask.given("reason"),
                **holds.named(ask.given("session").strip()),
            ),
        )

    def erase(self, ask: Ask) -> Response:
        """Erase who asks; takes the reference, typed."""
        if ask.form.get("confirmation", "").strip() != ask.path["request"]:
            return self._one(ask, InputError(ask.words("requests.not_the_reference")))
        return self._step(ask, lambda request: self._do(ask, request_work.erase, request))

    def answer(self, ask: Ask) -> Response:
        """Answer it, or refuse it where a ground is given."""
        return self._step(
            ask,
            lambda request: self._do(
                ask,
                request_work.answer,
                request,
                ask.form.get("done", ""),
                refuse=ask.form.get("refuse", "").strip() or None,
            ),
        )

    def extend(self, ask: Ask) -> Response:
        """Put it off, once."""
        return self._step(ask, lambda request: self._do(ask, request_work.extend, request))

    def close(self, ask: Ask) -> Response:
        """Let go of what names the person."""
        return self._step(ask, lambda request: self._do(ask, request_work.close, request))

    def letter(self, ask: Ask) -> Response:
        """The letter, as a file: a page, or text."""
        return self._letter(ask)

    def own(self, ask: Ask) -> Response:
        """Open one's own."""
        self._do(ask, requests.open_, _kind(ask), said=ask.form.get("said", ""))
        return RedirectResponse("/settings/privacy#requests", 303)

    # -- inside ----------------------------------------------------------------------------------

    def _letter(self, ask: Ask) -> Response:
        language: Language = "zh" if ask.path["language"] == "zh" else "en"
        form: LetterForm = "html" if ask.path["form"] == "html" else "text"
        request = ask.path["request"]
        found = self._do(ask, requests.letter, request, language=language, form=form)
        return _file(found.content.encode(), found.name, f"{found.media_type}; charset=utf-8")

    def _step(self, ask: Ask, act: Callable[[str], object]) -> Response:
        request = ask.path["request"]
        try:
            act(request)
        except InputError as error:
            return self._one(ask, error)
        return RedirectResponse(f"/admin/requests/{request}", 303)

    def _all(self, ask: Ask, error: InputError | None) -> Response:
        email, every = ask.query.get("email", "").strip(), "all" in ask.query
        after = ask.query.get("after") or None
        page = self._do(
            ask, requests.list_, all=every, email=email or None, after=after, limit=_SHOWN
        )
        return self._frame.page(
            ask,
            "admin/requests.html",
            200 if error is None else error.http_status,
            here="requests",
            requests=page.items,
            next=page.next,
            every=every,
            email=email,
            kinds=list(CaseKind),
            problem=None if error is None else ask.words.of_error(error),
        )

    def _sessions(self, ask: Ask, shown: RequestDetails) -> list[SessionSummary]:
        """The sessions of who asks that an operator may hold, the latest first."""
        if not ask.visitor.operator or shown.person is None or shown.erasure is not None:
            return []
        account = self._parts.node.registry.accounts.of_person(shown.person)
        if account is None:
            return []
        return self._do(ask, sessions.list_, account.account_id, limit=_SHOWN).items

    def _one(
        self,
        ask: Ask,
        error: InputError | None = None,
        found: RequestInventory | None = None,
    ) -> Response:
        return self._frame.page(
            ask,
            "admin/request.html",
            200 if error is None else error.http_status,
            here="requests",
            shown=(shown := self._do(ask, requests.show, ask.path["request"])),
            theirs=self._sessions(ask, shown),
            found=found,
            problem=None if error is None else ask.words.of_error(error),
        )


def _kind(ask: Ask) -> CaseKind:
    given = ask.given("kind")
    if given not in tuple(CaseKind):
        raise InputError(ask.words("form.missing", field="kind"))
    return CaseKind(given)


def _day(given: str) -> datetime | None:
    """The beginning of a day, as forms give one; None: none was given."""
    try:
        return datetime.combine(date.fromisoformat(given), time(), UTC) if given else None
    except ValueError:
        raise InputError("this is no day.", hint="write it like 2026-05-03") from None


def _file(content: bytes, name: str, kind: str) -> Response:
    told = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, headers={**told, "content-type": kind})
