"""Cloud sessions in the console: started, watched, continued and ended by whoever they are of.

Rules kept here:

* Every page and every deed goes through the operations, for the visitor's own cookie: whose session
  it is, is decided there.
* The live page is whole without a script; with one it goes on by server-sent events, which are
  added to a list that is read aloud as it grows.
* What is not one's own is read for a reason that goes on record first, like any session.

Rows: C5.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

import orjson
from starlette.responses import RedirectResponse, Response, StreamingResponse

from bailee.accounts import Account
from bailee.console.asking import Ask
from bailee.console.cloud_events import said
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.errors import BaileeError, InputError
from bailee.operations import cloud
from bailee.words import Words

_KEEP_ALIVE_SECONDS: Final = 15.0


class CloudPages:
    """The handlers of cloud sessions, each of which takes an `Ask`. The site calls them on its
    worker threads, several at once. It keeps nothing between requests, and decides nothing about
    whose a session is.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._parts = parts
        self._do = parts.do
        self._frame = frame

    def sessions(self, ask: Ask) -> Response:
        """The form, and what there is."""
        return self._sessions(ask, {}, None)

    def start(self, ask: Ask) -> Response:
        """Start one; then its page."""
        form = ask.form
        try:
            made = self._do(
                ask,
                cloud.start,
                form.get("task", ""),
                form.get("repository", "").strip(),
                branch=form.get("branch", "").strip() or None,
                network=form.get("network") or None,
                agent=form.get("agent") or None,
                account=form.get("account") or None,
                zero_retention=form.get("zero_retention") == "yes",
            )
        except BaileeError as error:
            return self._sessions(ask, form, error)
        return RedirectResponse(f"/cloud/{made.session}", 303)

    def session(self, ask: Ask) -> Response:
        """One session, live."""
        return self._session(ask, None)

    def read(self, ask: Ask) -> Response:
        """What is another's, for a reason that goes on record first."""
        ask.given("reason")
        return self._session(ask, None, on_record=True)

    def send(self, ask: Ask) -> Response:
        """A follow-up."""
        try:
            self._do(ask, cloud.send, ask.path["session"], ask.given("text"))
        except InputError as error:
            return self._session(ask, error)
        return RedirectResponse(f"/cloud/{ask.path['session']}#end", 303)

    def stop(self, ask: Ask) -> Response:
        """End it."""
        self._do(ask, cloud.stop, ask.path["session"])
        return RedirectResponse(f"/cloud/{ask.path['session']}", 303)

    def delete(self, ask: Ask) -> Response:
        """Destroy what is kept of it."""
        self._do(ask, cloud.delete, ask.path["session"])
        return RedirectResponse("/cloud", 303)

    def changes(self, ask: Ask) -> Response:
        """All that it changed."""
        shown = self._own(ask)
        found = self._do(ask, cloud.diff, shown.session)
        return self._frame.page(
            ask, "cloud/changes.html", here="cloud", shown=shown, lines=_lines(found.diff)
        )

    def connections(self, ask: Ask) -> Response:
        """Where it connected to, and what the proxy decided."""
        shown = self._own(ask)
        found = self._do(ask, cloud.logs, shown.session, egress=True)
        return self._frame.page(
            ask, "cloud/connections.html", here="cloud", shown=shown, connections=found
        )

    def events(self, ask: Ask) -> Response:
        """The events after one, as they come."""
        shown = self._own(ask)
        after = ask.request.headers.get("last-event-id") or ask.query.get("after", "-1")
        if not after.lstrip("-").isdecimal() or len(after) > 12:
            raise InputError("`after` is the number of an event.")
        found = self._do(ask, cloud.attach, shown.session, int(after))
        return StreamingResponse(
            _stream(found, ask.words),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    def script(self, ask: Ask) -> Response:
        """What makes the live page go on by itself."""
        del ask
        return Response(
            self._frame.cloud_script,
            media_type="text/javascript",
            headers={"cache-control": "public, max-age=31536000, immutable"},
        )

    # -- inside ----------------------------------------------------------------------------------

    def _own(self, ask: Ask) -> cloud.Shown:
        """The session, if it is the visitor's own to read."""
        shown = self._do(ask, cloud.show, ask.path["session"])
        if not shown.yours:
            raise InputError(ask.words("cloud.reason_first"), code="forbidden")
        return shown

    def _sessions(self, ask: Ask, given: object, error: BaileeError | None) -> Response:
        person = ask.visitor.person
        accounts: list[tuple[Account, str | None]] = []
        for place in () if person is None else person.memberships:
            account = self._parts.node.registry.organisations.account(place.organisation)
            accounts.append((account, place.name))
        if (
            person is not None and person.account is not None
        ):  # last: a company's code is not theirs
            accounts.append((person.account, None))
        commercial = any(
            self._parts.node.policy.plans[account.plan].segment == "commercial"
            for account, _ in accounts
        )
        page = self._do(ask, cloud.list_, after=ask.query.get("after") or None)
        return self._frame.page(
            ask,
            "cloud/sessions.html",
            200 if error is None else error.http_status,
            here="cloud",
            sessions=page.items,
            next=page.next,
            accounts=accounts,
            zero_possible=commercial or person is None,
            given=given,
            problem=None if error is None else ask.words.of_error(error),
        )

    def _session(self, ask: Ask, error: BaileeError | None, *, on_record: bool = False) -> Response:
        shown = self._do(ask, cloud.show, ask.path["session"])
        readable = shown.yours or on_record
        events = self._do(ask, cloud.logs, shown.session) if readable else []
        return self._frame.page(
            ask,
            "cloud/session.html",
            200 if error is None else error.http_status,
            here="cloud",
            shown=shown,
            readable=readable,
            log=list(said(events, ask.words)),
            last=events[-1]["n"] if events else 0,
            problem=None if error is None else ask.words.of_error(error),
        )


async def _stream(
    events: AsyncIterator[Mapping[str, object]], words: Words
) -> AsyncIterator[bytes]:
    """Server-sent events (HTML, section 9.2): one for each thing said; `state` and `end` beside."""
    waiting: asyncio.Future[Mapping[str, object]] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({waiting}, timeout=_KEEP_ALIVE_SECONDS)
            if not done:
                yield b": still here\n\n"
                continue
            event, waiting = waiting.result(), None
            for one in said([event], words):
                data = orjson.dumps(one.as_object()).decode()
                yield f"id: {one.n}\ndata: {data}\n\n".encode()
            if event["kind"] == "state":
                data = orjson.dumps(words(f"cloud.state_{event['state']}")).decode()
                yield f"event: state\ndata: {data}\n\n".encode()
    except StopAsyncIteration:
        yield b"event: end\ndata: {}\n\n"
    finally:
        if waiting is not None:
            waiting.cancel()


def _lines(patch: str) -> list[tuple[str, str]]:
    """A patch's lines, each with what it is: added, removed, file, place, or nothing of these."""
    found = []
    for line in patch.splitlines():
        if line.startswith("diff --git"):
            kind = "file"
        elif line.startswith("@@"):
            kind = "place"
        elif line.startswith("+") and not line.startswith("+++"):
            kind = "added"
        elif line.startswith("-") and not line.startswith("---"):
            kind = "removed"
        else:
            kind = ""
        found.append((kind, line))
    return found
