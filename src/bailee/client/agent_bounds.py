"""What a policy document leaves an agent on this machine of web pages and MCP servers. Pure.

    {"bound.pages": {"of": "web_pages", "only": ["docs.example.com"], "en": "…", "zh": "…"}}

`bailee policy settings --for bailee` writes it, with the clause's id and its text. Rules kept here:

* All that any scope says hold together: each can only leave less.
* What is not understood leaves nothing.

Rows: P1, S6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from bailee.client.servers import McpServer
from bailee.errors import PolicyDenied
from bailee.json_values import elements, members, text
from bailee.policy.bounds import AGENT_SETTING_OF, MCP_SERVERS, PROGRAMS, WEB_PAGES, lets
from bailee.policy.document import Language
from bailee.records import dataclass

_LONGEST: Final = 1000  # characters of a text
LIKE_BOUNDS: Final = "`bailee policy settings --for bailee` writes it"


@dataclass(frozen=True, slots=True)
class AgentBound:
    """What a clause leaves. `of`: what it is about, of `policy.bounds.AGENT_SETTING_OF`; `only`:
    hosts, all of them, and of servers programs; `clause`: its id; `en`, `zh`: its text.
    """

    of: str
    only: tuple[str, ...]
    clause: str
    en: str
    zh: str
    scope: str
    place: str

    def text(self, language: Language) -> str:
        """The clause in words."""
        return self.zh if language == "zh" else self.en

    @property
    def said(self) -> str:
        """The clause in words, with its id."""
        return f"{self.en} ({self.clause})"

    def refusal(self) -> PolicyDenied:
        """What is said to who asked for what it does not leave."""
        return PolicyDenied(self.said, hint=f"it stands in {self.place}")


def bounds_of(scope: str, place: str, value: object) -> tuple[list[AgentBound], str | None]:
    """What a settings file says of it; and, where that is not understood, the part that is not."""
    found: list[AgentBound] = []
    if not isinstance(value, Mapping):
        return nothing(scope, place), ""
    for clause, held in value.items():
        said = members(held)
        of, only = text(said.get("of")), elements(said.get("only"))
        listed = isinstance(said.get("only"), list) and all(isinstance(one, str) for one in only)
        if of not in AGENT_SETTING_OF or not listed:
            return nothing(scope, place), str(clause)
        en, zh = one_line(text(said.get("en"))), one_line(text(said.get("zh")))
        hosts = tuple(map(text, only))
        found.append(AgentBound(of, hosts, one_line(str(clause)), en or zh, zh or en, scope, place))
    return found, None


def one_line(said: str) -> str:
    """A text that a file or a server holds, as one line that a terminal only shows."""
    return "".join(char for char in said if char.isprintable())[:_LONGEST]


def nothing(scope: str, place: str) -> list[AgentBound]:
    """What stands in the place of bounds that are not understood."""
    en = "What is left of this is not understood in the settings, so nothing is."
    zh = "设置中对此的限定无法理解，因此一律不可用。"
    return [AgentBound(of, (), "settings", en, zh, scope, place) for of in AGENT_SETTING_OF]


def closing_page(bounds: Iterable[AgentBound], host: str) -> AgentBound | None:
    """By which bound a host's pages are not fetched; None: they are."""
    return _closing(bounds, WEB_PAGES, host)


def closing_server(bounds: Iterable[AgentBound], server: McpServer) -> AgentBound | None:
    """By which bound an MCP server is not had; None: it is."""
    if server.url is None:
        return next(
            (one for one in bounds if one.of == MCP_SERVERS and PROGRAMS not in one.only), None
        )
    return _closing(bounds, MCP_SERVERS, urlsplit(server.url).hostname or "")


def _closing(bounds: Iterable[AgentBound], of: str, host: str) -> AgentBound | None:
    return next((one for one in bounds if one.of == of and not lets(one.only, host)), None)
