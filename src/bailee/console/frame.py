"""Pages out of templates: the frame around them, the visitor's words, and what templates can do."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from bailee.accounts import csrf
from bailee.console.asking import Ask
from bailee.console.language import HTML_LANGUAGE, OWN_NAME
from bailee.money import dollars
from bailee.policy import Policy
from bailee.policy.amounts import period_in_words
from bailee.policy.diagram import STYLE as DIAGRAM_STYLE
from bailee.policy.document import Clause
from bailee.policy.own import PREFIX, OwnDocument
from bailee.policy.wording import outcome_in_words
from bailee.shown import page as page_text
from bailee.usage.limits import UNLIMITED, LimitMeasure
from bailee.words import LANGUAGES

if TYPE_CHECKING:  # imported with the first page
    from jinja2 import Environment

_FOLDER: Final = Path(__file__).parent
_PAGES: Final = _FOLDER / "pages"


class PageTemplates:
    """Renders the templates of `pages/`. The site makes one; handlers call it on any thread. It
    owns the templates and the console's own files, read once. It reads no store: a page has what
    its handler gives.
    """

    def __init__(
        self,
        policy: Callable[[], Policy],
        random: Callable[[int], bytes] = secrets.token_bytes,
        *,
        sign_up: Callable[[], bool],
        own_of: Callable[[str], OwnDocument | None] = lambda _: None,
    ) -> None:
        """`policy`: the operator's that holds; `sign_up`: whether people may sign up by themselves;
        `own_of`: an organisation's own document.
        """
        self._policy = policy
        self._own_of = own_of
        self._random = random
        self._sign_up = sign_up
        self.style: Final = (_PAGES / "style.css").read_text("utf-8") + DIAGRAM_STYLE
        self.script: Final = (_PAGES / "passkey.js").read_text("utf-8")
        self.cloud_script: Final = (_PAGES / "cloud.js").read_text("utf-8")

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        made = Environment(
            loader=FileSystemLoader(_PAGES),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_as_text,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.globals.update(
            style_address=_named("/style.css", self.style),
            script_address=_named("/passkey.js", self.script),
            cloud_script_address=_named("/cloud.js", self.cloud_script),
            urlencode=urlencode,
            sign_up=self._sign_up,
            dollars=dollars,
        )
        return made

    def page(self, ask: Ask, name: str, status: int = 200, /, **values: object) -> HTMLResponse:
        """The template `name` for this visitor. `here` (in `values`) marks a place in the menu."""
        return HTMLResponse(self._render(ask, name, values), status)

    def _render(self, ask: Ask, name: str, values: Mapping[str, object]) -> str:
        language = ask.words.language
        document = self._policy().document
        labels = document.labels

        def label(fact: str, value: str | bool) -> str:
            return labels[fact][value].of(language)

        def clause(name: str) -> str:
            every = self._owns(ask) if name.startswith(PREFIX) else document.every_clause
            texts = {one.text.of(language) for one in every if one.id == name}
            return texts.pop() if len(texts) == 1 else name

        def outcome(effect: str, retention: str | None = None) -> str:
            return outcome_in_words(effect, retention, language)

        def limited(measure: str, amount: int) -> str:
            if amount >= UNLIMITED:
                return ask.words("usage.unlimited")
            return dollars(amount) if measure == LimitMeasure.MONEY else str(amount)

        def form_token() -> Markup:
            value = csrf.token(ask.visitor.cookie, self._random(csrf.NONCE_BYTES))
            return Markup('<input type="hidden" name="form_token" value="{}">').format(value)

        context = {
            "here": "",
            "t": ask.words,
            "language": language,
            "html_language": HTML_LANGUAGE[language],
            "languages": [(one, OWN_NAME[one], HTML_LANGUAGE[one]) for one in LANGUAGES],
            "visitor": ask.visitor,
            "address": ask.request.url.path,
            "now": ask.now,
            "label": label,
            "clause_text": clause,
            "outcome": outcome,
            "limited": limited,
            "period": lambda text: period_in_words(text, language),
            "moment": _moment,
            "day": _day,
            "until": lambda at: ask.words.until(_aware(at), ask.now),
            "size": _size,
            "coded": _coded,
            "form_token": form_token,
        }
        return self._environment.get_template(name).render(context | dict(values))

    def _owns(self, ask: Ask) -> list[Clause]:
        """The clauses of the own documents of the organisations that a visitor is in."""
        person = ask.visitor.person
        documents = [
            self._own_of(one.organisation) for one in (person.memberships if person else ())
        ]
        return [clause for one in documents if one is not None for clause in one.every_clause]


def _as_text(value: object) -> object:
    """Whatever a template puts out, before its markup is escaped: what is there without being seen,
    or reorders what stands around it, is shown (`shown`). Markup is of our own making.
    """
    return page_text(value) if type(value) is str else value


def drawn(picture: str) -> Markup:
    """A picture that is made here from numbers, every text in it escaped: markup of our own."""
    return Markup(picture)  # noqa: S704


def _named(path: str, content: str) -> str:
    """An asset's address with a mark of its content, so that a browser may keep it for good."""
    return f"{path}?{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _aware(at: datetime | str) -> datetime:
    return datetime.fromisoformat(at) if isinstance(at, str) else at


def _moment(at: datetime | str) -> Markup:
    """A moment, to the minute, for people and for programs."""
    when = _aware(at)
    text = f"{when:%Y-%m-%d %H:%M}"
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        when.isoformat(timespec="seconds"), f"{when:%Y-%m-%d %H:%M:%S}", text
    )


def _day(at: datetime | str) -> Markup:
    when = _aware(at)
    return Markup('<time datetime="{}">{}</time>').format(
        when.isoformat(timespec="seconds"), f"{when:%Y-%m-%d}"
    )


def _coded(said: str) -> Markup:
    """Words in which what is to be typed stands in backticks, as the terminal shows them."""
    parts = (
        Markup("<code>{}</code>").format(page_text(part)) if odd else escape(page_text(part))
        for odd, part in zip(cycle((False, True)), said.split("`"), strict=False)
    )
    return Markup("").join(parts)


def _size(count: int) -> str:
    """A number of bytes: "3.4 kB"."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError
