"""Renewals of one sign-in at several processes: with a real provider, whose refresh tokens are good
once, and who takes the second use for a theft.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.accounts import OPERATOR, renewal_claims
from bailee.accounts.sign_ins import ConfirmedSignIn
from bailee.clock import system_clock
from bailee.db.engine import DbRow
from bailee.errors import InputError
from support.homes import databases
from support.homes.town import Town
from support.servers.openid import SECRET, provider, walk

pytestmark = pytest.mark.row("O1", "O6")

CONSOLE, BACK = "http://127.0.0.1:1", "/sign-in/provider"
PEOPLE = {"ada": {"email": "ada@acme.example", "email_verified": True}}
TESTS = Path(__file__).parents[2]
LONG = 60.0

SERVER = """
import sys
from pathlib import Path

tests, folder, address, person, secret = sys.argv[1:]
sys.path.insert(0, tests)

from bailee.clock import system_clock
from bailee.errors import BaileeError
from support.homes import databases
from support.homes.town import Town

if address:
    databases.use("postgresql")
    databases._there[(Path(folder) / "data.db").resolve()] = address
town = Town(Path(folder), system_clock)
town.environment["ACME_SECRET"] = secret
town.keys.make(person)
print("ready", flush=True)
for line in sys.stdin:
    try:
        print("given", town.registry.sign_ins.renew(line.strip()).refresh, flush=True)
    except BaileeError as error:
        print("refused", error.code, error.hint, flush=True)
"""


class Acme:
    """An organisation whose provider's refresh tokens are good once. `asked`: how often it was
    asked for tokens.
    """

    def __init__(self, folder: Path, issuer: str, rotates: Path) -> None:
        self.folder = folder
        self.rotates = rotates
        self.town = Town(folder, system_clock)
        self.town.environment["ACME_SECRET"] = SECRET
        self.organisation = self.town.organisation("Acme")
        self.provider = self.town.registry.providers.bind(
            self.organisation, domain="acme.example", issuer=issuer, client_id="bailee",
            secret_env="ACME_SECRET", by=OPERATOR,
        )  # fmt: skip

    def signs_in(self, login: str) -> tuple[str, str]:
        """Somebody goes through the provider's pages, for a client; who it is, and its refresh
        token.
        """
        registry = self.town.registry
        begun = registry.providers.begin(
            self.provider, redirect_uri=CONSOLE + BACK, address="192.0.2.1", offline=True
        )
        came = registry.providers.arrive(
            walk(CONSOLE + BACK, begun.url, login), cookie=begun.cookie
        )
        account = registry.organisations.account(self.organisation).account_id
        confirmed = ConfirmedSignIn(came.person_id, account, came.provider, came.token)
        refresh = registry.sign_ins.begin(confirmed, client="cli").refresh
        assert refresh is not None
        return came.person_id, refresh

    @property
    def asked(self) -> int:
        """So often, up to now."""
        return len((self.rotates / "asked").read_text().splitlines())


class Server:
    """Another process over the same people, which renews what it is given, one by one."""

    def __init__(self, acme: Acme, person_id: str) -> None:
        address = str(databases._there.get((acme.folder / "data.db").resolve(), ""))
        given = str(TESTS), str(acme.folder), address, person_id, SECRET
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert ["ready"] == self.said()

    def ask(self, refresh: str) -> None:
        """Have it renew, and don't wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(refresh + "\n")
        self.process.stdin.flush()

    def said(self) -> list[str]:
        """What it says next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().split(maxsplit=2)

    def renew(self, refresh: str) -> list[str]:
        """What it says to a refresh token."""
        self.ask(refresh)
        return [word.strip() for word in self.said()]

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A provider, and the folder in which it says how often it was asked."""
    folder = tmp_path_factory.mktemp("rotates")
    with provider(CONSOLE, PEOPLE, rotates=folder, back=BACK) as issuer:
        yield issuer, folder


@pytest.fixture
def acme(tmp_path: Path, running: tuple[str, Path], database: databases.Kind) -> Acme:
    """See `Acme`."""
    del database  # is said before its database is opened
    return Acme(tmp_path, *running)


@pytest.mark.both_databases
def test_of_two_processes_one_asks_the_provider(acme: Acme) -> None:
    """While it is asked, the other says to ask again, and ends nothing; then it gives what the
    first one gave. The provider was asked once, and the sign-in goes on at either.
    """
    person, refresh = acme.signs_in("ada")
    before, held = acme.asked, acme.rotates / "held"
    with ExitStack() as closing:
        one, other = Server(acme, person), Server(acme, person)
        for server in (one, other):
            closing.callback(server.close)
        held.touch()
        closing.callback(held.unlink, missing_ok=True)
        one.ask(refresh)
        until = time.monotonic() + LONG
        while acme.asked == before and time.monotonic() < until:
            time.sleep(0.01)
        assert ["refused", "upstream_unreachable", "ask again"] == other.renew(refresh)
        held.unlink()
        given, second = [word.strip() for word in one.said()]
        assert "given" == given
        assert ["given", second] == other.renew(refresh)
        assert before + 1 == acme.asked
        given, third = other.renew(second)
        assert "given" == given
        given, _ = one.renew(third)
        assert "given" == given
        assert before + 3 == acme.asked


def test_what_came_to_nothing_keeps_nobody_from_asking(acme: Acme) -> None:
    """The provider could not be asked: who asks at once again is not told that another does."""
    _, refresh = acme.signs_in("ada")
    secret = acme.town.environment.pop("ACME_SECRET")
    with pytest.raises(InputError) as error:
        acme.town.registry.sign_ins.renew(refresh)
    acme.town.environment["ACME_SECRET"] = secret
    assert "configuration" == error.value.code
    assert refresh != acme.town.registry.sign_ins.renew(refresh).refresh


@pytest.mark.both_databases
def test_a_claim_is_had_once_and_ends(tmp_path: Path, database: databases.Kind) -> None:
    """Until it is given back, its time is over, or the clock was set back before it was made; and
    of what was read before another renewed there is none.
    """
    del database
    town = Town(tmp_path)
    person, account = town.person("ada@example.org")
    assert account is not None
    sign_ins = town.registry.sign_ins
    given = sign_ins.begin(ConfirmedSignIn(person.person_id, account.account_id), client="cli")
    (client,) = sign_ins.of_person(person.person_id)

    def row() -> DbRow:
        found = sign_ins._row(client.key_id)
        assert found is not None
        return found

    def claim(seconds: float = 0.0) -> bool:
        now = town.fake() + timedelta(seconds=seconds)
        return renewal_claims.claim(town.engine, row(), now) is not None

    before = row()
    assert [True, False] == [claim(), claim()]
    lasts = renewal_claims.LASTS.total_seconds()
    assert [False, True, False] == [claim(lasts - 1), claim(lasts), claim(lasts)]
    assert [True, False] == [claim(-3600), claim(-3600)]
    until = row().claimed_until
    renewal_claims.give_back(town.engine, row(), until + timedelta(seconds=1))  # another's
    assert not claim(-3600)
    renewal_claims.give_back(town.engine, row(), until)
    assert claim(-3600)
    sign_ins.renew(given.refresh or "")
    assert row().claimed_until is None
    assert renewal_claims.claim(town.engine, before, town.fake()) is None
    assert claim()
