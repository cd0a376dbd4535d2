"""The guide for a company, walked as it stands: its own commands, a real OpenID provider, fifty
people behind a proxy, and one of them with the real Claude Code.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sybil import Document
from sybil.parsers.markdown import CodeBlockParser

from bailee.testing.upstream import ScriptedUpstream, Text
from support.browsers.browsing import Visitor
from support.clients.claude_code import Claude, ElseWhere
from support.clients.programs import Bailee
from support.pages import PageTerminal, TitledFiles, transcript
from support.servers.office import Office
from support.servers.openid import SECRET, come_by, provider

pytestmark = pytest.mark.row("O1", "O2", "O3", "P1")
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "company.md"
HAIKU = "claude-haiku-4-5-20251001"
USED = {"input_tokens": 1000, "output_tokens": 2000}
PLATFORM = [f"p{number:02}" for number in range(20)]
APPS = [f"a{number:02}" for number in range(29)]
_NUMBERS = count(1)
FIFTY = [*PLATFORM, *APPS, "ian"]


@dataclass
class Company(Office):
    """An office whose people come each from an address of their own, as its proxy says."""

    folder: Path

    def visitor(self) -> Visitor:
        """A browser on a machine of its own."""
        return Visitor(self.bailee.ready["console"], X_Forwarded_For=self._address())

    def begin(self) -> dict[str, Any]:
        """A device grant, of a client on a machine of its own."""
        form = {"surface": "claude_code"}
        return dict(
            self.ask("/oauth/device_authorization", form, x_forwarded_for=self._address()).body
        )

    def _address(self) -> str:
        return f"10.4.{next(_NUMBERS)}.7"

    def guided(self, first: str, last: str, issuer: str) -> list[str]:
        """Do what the guide says from one of its chapters to another; what was printed."""
        printed = []
        document = Document.parse(
            str(GUIDE),
            TitledFiles(self.folder),
            CodeBlockParser("console", lambda example: self._do(example.parsed, issuer, printed)),
        )
        begins, ends = (document.text.index(f"\n## {one}") for one in (first, last))
        for example in document.examples():
            if begins < example.start < ends:
                example.evaluate()
        return printed

    def _do(self, block: str, issuer: str, printed: list[str]) -> None:
        given = self.bailee.environment()
        del given["PATH"]  # with this program in it
        terminal = PageTerminal(self.folder, given)
        for command, _ in transcript(block):
            status, said = terminal.run(command.replace("https://sign-in.acme.example", issuer))
            assert 0 == status, f"{command}\n{said}"
            printed.append(said)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A server behind a proxy, and a provider that knows fifty people, some of them in groups."""
    folder = tmp_path_factory.mktemp("company")
    bailee = Bailee(folder)
    answer = Text("plums", usage=USED)
    with ScriptedUpstream(tools_only=False, after=answer, aside=answer) as upstream:
        bailee.declare(upstream.url)
        environment = {"ACME_SECRET": SECRET, "BAILEE_TRUSTED_PROXIES": "127.0.0.1"}
        bailee.up(env={**environment, "BAILEE_USAGE_ASK_AT": "https://go.acme.example/limits"})
        try:
            disabled, groups = folder / "disabled", folder / "groups"
            teams = {**dict.fromkeys(PLATFORM, "eng-platform"), **dict.fromkeys(APPS, "eng-apps")}
            theirs = {one: [teams.get(one, "eng-apps")] for one in FIFTY}
            groups.write_text(json.dumps({**theirs, "sal": ["sales"]}))
            people = {
                one: {"email": f"{one}@acme.example", "email_verified": True}
                for one in (*FIFTY, "sal")
            }
            with provider(
                bailee.ready["console"], people, disabled=disabled, groups=groups
            ) as issuer:
                made = Company(bailee, upstream, "", disabled, groups, "acme.example", folder)
                made.guided("2. The organisation", "7. Their machines", issuer)
                made.organisation = (folder / "acme").read_text().strip()
                yield made
        finally:
            bailee.close()


def test_a_company_of_fifty_works_as_its_guide_says(
    company: Company, claude: Path, tmp_path: Path
) -> None:
    """All sign in by the provider and work on the company's terms, each counted in their team; who
    is in no group does not come in; the real client is stopped by a budget in its own words; and
    who is let go is out.
    """
    bailee, elsewhere = company.bailee, ElseWhere()
    client = Claude(claude, tmp_path, company.gateway, elsewhere)
    shown = client.sign_in(lambda code: company.confirmed("ian", code))
    with ThreadPoolExecutor(2) as threads:
        tokens = dict(zip(FIFTY[:-1], threads.map(company.signed_in, FIFTY[:-1]), strict=True))
    refused = come_by(company.visitor(), "sal@acme.example", "sal")

    asks = {"max_tokens": 9, "messages": [{"role": "user", "content": "pears"}]}

    def ask(one: str, model: str = HAIKU) -> int:
        body = json.dumps({**asks, "model": model}).encode()
        bearer = tokens[one]["access_token"]
        return company.ask(
            "/v1/messages", bearer=bearer, body=body, content_type="application/json"
        ).status

    answered = [ask(one) for one in tokens]
    unlisted = ask("p00", "claude-opus-4-7")
    keyless = bailee.run("key", "create", "--organisation", company.organisation, "--name", "x")
    first = client.run("-p", "How many pear trees stand there?")
    his = "--of", company.organisation, "--member", "ian@acme.example"
    bailee.run("limits", "set", *his, "--money", "0.01", "--per", "day")
    stopped = client.run("-p", "And how many quinces?")
    settings = company.ask(
        "/managed/settings", bearer=tokens["a00"]["access_token"]
    ).body["settings"]  # fmt: skip

    used = bailee.run("usage", "--of", company.organisation, "--by", "team", "--csv").stdout
    by_team = {row["team"]: row for row in csv.DictReader(io.StringIO(used))}
    sessions = bailee.sessions(len(tokens))
    printed = company.guided("8. Who used what", "What there is not", "")
    out = client.run("-p", "And plums?")
    elsewhere.close()

    assert "Sessions through this gateway are recorded" in shown
    assert 403 == refused.status, refused.text
    assert [200] * 49 == answered
    assert (403, 2) == (unlisted, keyless.returncode)
    assert 0 == first.returncode, first.stdout + first.stderr
    assert 0 != stopped.returncode
    assert "spend limit reached" in stopped.stdout
    assert "https://go.acme.example/limits" in stopped.stdout
    assert ["claude-haiku-4-5", "claude-sonnet-4-5"] == settings["availableModels"]
    platform, apps = (f"{company.organisation}/{team}" for team in ("platform", "apps"))
    assert (str(len(PLATFORM) + 1), "1") == (
        by_team[platform]["requests"], by_team[platform]["refused"],
    )  # fmt: skip
    assert int(by_team[apps]["requests"]) > len(APPS)
    assert {("P7D", "own.seven-days")} == {
        (one["retention"]["period"], one["retention"]["clause"]) for one in sessions
    }
    assert any("1 clients signed out" in one for one in printed)
    assert any("the works council asked" in one for one in printed)
    assert 0 != out.returncode
    assert [] == elsewhere.asked
