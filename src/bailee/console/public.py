"""Pages for everyone: what happens to data here, the policy with its reasons, style and script.

Rows: P3, D5.
"""

from __future__ import annotations

from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from bailee.console.asking import Ask
from bailee.console.frame import PageTemplates
from bailee.console.parts import Parts
from bailee.policy.actions import ACTIONS, FLAGS
from bailee.policy.asking import typed
from bailee.policy.diagram import draw
from bailee.policy.document import Clause, Language
from bailee.policy.own import PREFIX
from bailee.policy.page import page
from bailee.policy.wording import QUESTIONS, outcome_in_words, sentence, why_not
from bailee.words import known

LANGUAGE_COOKIE = "bailee_language"
_FOR_GOOD = {"cache-control": "public, max-age=31536000, immutable"}


class Public:
    """The handlers of what everyone may see, each of which takes an `Ask`. The site calls them on
    its worker threads, several at once. It reads the policy and what runs, and nothing of
    anybody's.
    """

    def __init__(self, parts: Parts, frame: PageTemplates) -> None:
        self._parts = parts
        self._frame = frame

    def data_usage(self, ask: Ask) -> Response:
        """The public page, with the diagram of what runs."""
        policy, language = self._parts.node.policy, ask.words.language
        running = self._parts.drawn()
        # Made here from the policy and the configuration, every text escaped: markup of our own.
        pictures = [
            Markup(draw(policy, running, language, layout))  # noqa: S704
            for layout in ("wide", "narrow")
        ]
        return self._frame.page(
            ask, "data_usage.html", here="data", page=page(policy, language), pictures=pictures
        )

    def policy(self, ask: Ask) -> Response:
        """Every clause, searched by word."""
        document, language = self._parts.node.policy.document, ask.words.language
        wanted = ask.query.get("q", "").strip()[:100]
        groups = [
            (QUESTIONS[language][action], [c for c in clauses if _speaks_of(c, wanted)])
            for action, clauses in document.clauses.items()
        ]
        stated = [one for one in document.statements if _speaks_of(one, wanted)]
        groups.append((ask.words("policy.stated"), stated))
        return self._frame.page(
            ask,
            "policy.html",
            here="policy",
            groups=[(title, found) for title, found in groups if found],
            wanted=wanted,
            own=wanted.startswith(PREFIX),
            document=document,
        )

    def _its(self, ask: Ask, organisation: str | None) -> str | None:
        """The organisation that is asked about, if the visitor has to do with it."""
        person = ask.visitor.person
        its = {one.organisation for one in (person.memberships if person else ())}
        return organisation if ask.visitor.operator or organisation in its else None

    def explain(self, ask: Ask) -> Response:
        """Why something is decided as it is: the clause, the facts, and what was passed over."""
        language = ask.words.language
        given = {name: value for name, value in ask.query.items() if value and name != "lang"}
        organisation = self._its(ask, given.pop("organisation", None))
        policy = self._parts.node.holding.of(organisation).policy
        action = given.pop("action", "retain")
        action = action if action in ACTIONS else "retain"
        question, asked = ACTIONS[action], policy.document.facts[action]
        space = policy.document.spaces[action]
        # A question with facts missing is not one yet: the first value of each stands in the form.
        chosen = {fact: given.get(fact, str(space.domains[fact][0]).lower()) for fact in asked}
        switches = {
            name: given[name] for name in policy.document.switches if question.env and name in given
        }
        words = [f"{name}={value}" for name, value in (chosen | switches).items()]
        _, facts = typed(policy, [action, *words])
        found = policy.explain(action, facts)
        passed = [
            (one.clause, why_not(policy.document, one, language)) for one in found.passed_over
        ]
        return self._frame.page(
            ask,
            "explain.html",
            here="policy",
            actions=[(name, QUESTIONS[language][name]) for name in ACTIONS],
            action=action,
            facts=[(fact, self._values(fact, language), chosen[fact]) for fact in asked],
            switches=[(name, name in switches) for name in policy.document.switches]
            if question.env
            else [],
            sentence=sentence(policy.document, found, language),
            clause=found.clause,
            organisation=organisation,
            operators=None
            if found.operators is None
            else outcome_in_words(found.operators.effect, found.operators.retention, language),
            result=outcome_in_words(found.decision.effect, found.decision.retention, language),
            passed=passed,
        )

    def _values(self, fact: str, language: Language) -> list[tuple[str, str]]:
        labels = self._parts.node.policy.document.labels[fact]
        flag = fact in FLAGS
        return [
            (str(value).lower() if flag else str(value), text.of(language))
            for value, text in labels.items()
        ]

    def style(self, _ask: Ask) -> Response:
        """The one style sheet."""
        return Response(self._frame.style, media_type="text/css", headers=_FOR_GOOD)

    def script(self, _ask: Ask) -> Response:
        """The one script: passkeys need one."""
        return Response(self._frame.script, media_type="text/javascript", headers=_FOR_GOOD)

    def language(self, ask: Ask) -> Response:
        """Read on in another language; back to the page that asked."""
        response = RedirectResponse(local(ask.query.get("back", "/")), 303)
        language = known(ask.query.get("to"))
        if language is not None:
            response.set_cookie(
                LANGUAGE_COOKIE,
                language,
                max_age=31_536_000,
                httponly=True,
                samesite="lax",
                secure=self._parts.secure,
            )
        return response


def local(address: str) -> str:
    """The address if it is a page of this console, else the first page: no open redirects."""
    good = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if good and address.isprintable() else "/"


def _speaks_of(clause: Clause, wanted: str) -> bool:
    texts = (clause.id, clause.text.en, clause.text.zh, *clause.rows)
    return all(any(word in text.lower() for text in texts) for word in wanted.lower().split())
