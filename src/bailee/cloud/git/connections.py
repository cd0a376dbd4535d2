"""The Git connections of accounts: what proves to a git server that a session may use a repository.

Rules kept here:

* A connection is for a place: a host, or an owner on it. The one whose place says most decides;
  one for another host is never used, however alike its name.
* What proves anything is sealed under a key of the connection's own in the keyring, bound to the
  connection, its account, kind and place. Removing it destroys that key: copies open nothing.
* It is opened for each operation of the git proxy, in the process that owns the home, and goes to
  the git server alone. Nothing that is listed, recorded or raised holds any of it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import orjson
from sqlalchemy import Engine, Row, delete, insert, select

from bailee.clock import Clock
from bailee.cloud.git.github import App, GithubApi, check_private_key, installation_token
from bailee.cloud.git.proxy import Credential, CredentialUse
from bailee.cloud.git.routes import Repository
from bailee.db.cloud_git import git_connections
from bailee.db.engine import reading, storage_errors
from bailee.errors import InputError
from bailee.keyring import Keyring
from bailee.keyring.wrapping import NONCE_BYTES, associated, seal, unseal
from bailee.ledger import Ledger
from bailee.outbound.dialing import Dialer
from bailee.outbound.hosts import NotAHost, read_authority
from bailee.outbound.network import Network

_WHAT: Final = "the Git connections"
_DATA_CLASS: Final = "git_connection"
_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
_HINT: Final = "store one: bailee cloud git add"


class SecretKind(StrEnum):
    """What a connection's secret is."""

    GITHUB_APP = "github-app"  # the private key of an app
    GITHUB_TOKEN = "github-token"  # noqa: S105 - the name of a kind
    GITLAB_TOKEN = "gitlab-token"  # noqa: S105
    BASIC = "basic"  # a password, of a user


_USERS: Final[Mapping[SecretKind, str]] = {
    SecretKind.GITHUB_TOKEN: "x-access-token",
    SecretKind.GITLAB_TOKEN: "oauth2",
}


@dataclass(frozen=True, slots=True)
class GitConnection:
    """A stored connection, without its secret. `place`: `github.com`, or `github.com/acme`."""

    id: str
    account_id: str
    kind: SecretKind
    place: str
    created_at: datetime
    created_by: str

    def serves(self, repository: Repository) -> bool:
        """Whether it is for a repository."""
        host, _, owner = self.place.partition("/")
        if host != repository.authority:
            return False
        return not owner or repository.path.lower().startswith(f"/{owner.lower()}/")


@dataclass(frozen=True, slots=True)
class GitSecret:
    """What proves it. `user`: of a password. `app_id`, `installation_id`: of an app."""

    secret: str
    user: str = ""
    app_id: str = ""
    installation_id: str = ""

    def __repr__(self) -> str:
        return "Secret(…)"


class GitConnections:
    """The Git connections of a home.

    `apis`: addresses of GitHub's API by host, where they are not the usual ones. `dialer`: how that
    API is reached.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        ledger: Ledger,
        clock: Clock,
        apis: Mapping[str, str] | None = None,
        dialer: Dialer | None = None,
        tls: ssl.SSLContext | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._ledger = ledger
        self._clock = clock
        self._apis = {host: GithubApi.read(url) for host, url in (apis or {}).items()}
        self._dialer = dialer or Dialer(network=Network.of())
        self._tls = tls
        self._random = random

    def add(
        self, account_id: str, kind: str, place: str, secret: GitSecret, *, by: str
    ) -> GitConnection:
        """Store a connection. One for the same place is replaced.

        Raises:
            InputError: something is missing or malformed. The message repeats no secret.
            StorageError: a store can't be written.
        """
        if kind not in tuple(SecretKind):
            raise InputError(
                f"there is no Git connection of the kind {kind!r}.",
                hint=f"one of {', '.join(SecretKind)}",
            )
        _check(SecretKind(kind), secret)
        connection = GitConnection(
            id=f"gitc_{self._random(8).hex()}",
            account_id=account_id,
            kind=SecretKind(kind),
            place=_place(place),
            created_at=self._clock(),
            created_by=by,
        )
        before = [one for one in self.all(account_id) if one.place == connection.place]
        sealed = self._seal(connection, secret)
        with storage_errors(_WHAT), self._engine.begin() as on_disk:
            on_disk.execute(
                insert(git_connections).values(
                    id=connection.id,
                    account_id=account_id,
                    kind=kind,
                    place=connection.place,
                    sealed=sealed,
                    created_at=connection.created_at,
                    created_by=by,
                )
            )
            body = {"kind": kind, "place": connection.place[:300], "by": by}
            self._ledger.append(
                "git_connection.added", connection.id, body, whose=account_id, connection=on_disk
            )
        for one in before:
            self.remove(one.id, by=by)
        return connection

    def all(self, account_id: str) -> list[GitConnection]:
        """The connections of an account, oldest first."""
        query = (
            select(git_connections)
            .where(git_connections.c.account_id == account_id)
            .order_by(git_connections.c.created_at, git_connections.c.id)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [_connection(row) for row in connection.execute(query)]

    def get(self, connection_id: str) -> GitConnection:
        """One connection.

        Raises:
            InputError: code `not_found`.
        """
        return _connection(self._row(connection_id))

    def remove(self, connection_id: str, *, by: str) -> None:
        """Forget a connection: its key is destroyed, then its row goes.

        Raises:
            InputError: code `not_found`.
            StorageError: a store can't be written; call again.
        """
        connection = self.get(connection_id)
        self._keyring.destroy([connection.id])
        with storage_errors(_WHAT), self._engine.begin() as on_disk:
            on_disk.execute(delete(git_connections).where(git_connections.c.id == connection_id))
            body = {"kind": connection.kind.value, "place": connection.place[:300], "by": by}
            self._ledger.append(
                "git_connection.removed",
                connection_id,
                body,
                whose=connection.account_id,
                connection=on_disk,
            )

    def remove_all(self, account_id: str, *, by: str) -> None:
        """Forget every connection of an account."""
        for connection in self.all(account_id):
            self.remove(connection.id, by=by)

    def credential(self, account_id: str, repository: Repository) -> Credential:
        """What the git proxy asks for a credential, for one repository of an account's session.

        It raises `InputError` when a push has no connection to go with, and `UpstreamError` when
        GitHub gives no token; without a connection, reading is tried as anyone may.
        """

        async def credential(access: CredentialUse) -> str | None:
            found = await asyncio.to_thread(self._open_for, account_id, repository)
            if found is None:
                if access is CredentialUse.READ:
                    return None
                raise InputError(
                    f"no Git connection is stored for {repository.host.name}.", hint=_HINT
                )
            return await self._authorization(*found, repository, access)

        return credential

    # -- inside ----------------------------------------------------------------------------------

    def _open_for(
        self, account_id: str, repository: Repository
    ) -> tuple[GitConnection, GitSecret] | None:
        serving = [one for one in self.all(account_id) if one.serves(repository)]
        if not serving:
            return None
        best = max(serving, key=lambda one: (len(one.place), one.created_at))
        return best, self._unseal(best, self._row(best.id).sealed)

    async def _authorization(
        self,
        connection: GitConnection,
        secret: GitSecret,
        repository: Repository,
        access: CredentialUse,
    ) -> str:
        if connection.kind is SecretKind.GITHUB_APP:
            host = repository.authority
            token = await installation_token(
                self._apis.get(host) or GithubApi.of(host),
                App(secret.app_id, secret.installation_id, secret.secret),
                repository.path.rpartition("/")[2].removesuffix(".git"),
                write=access is CredentialUse.WRITE,
                now=self._clock().timestamp(),
                dialer=self._dialer,
                tls=self._trust(),
            )
            return _basic("x-access-token", token)
        return _basic(_USERS.get(connection.kind, secret.user), secret.secret)

    def _trust(self) -> ssl.SSLContext:
        """Whom to trust: made when first needed, since that reads every certificate there is."""
        if self._tls is None:
            self._tls = self._dialer.network.tls()
        return self._tls

    def _row(self, connection_id: str) -> Row[tuple[object, ...]]:
        query = select(git_connections).where(git_connections.c.id == connection_id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            raise InputError(
                f"there is no Git connection {connection_id}.",
                code="not_found",
                hint="see `bailee cloud git list`",
            )
        return row

    def _seal(self, connection: GitConnection, secret: GitSecret) -> bytes:
        key = self._keyring.dek(connection.id, _DATA_CLASS, _NEVER).key
        value = orjson.dumps(
            {
                "secret": secret.secret,
                "user": secret.user,
                "app_id": secret.app_id,
                "installation_id": secret.installation_id,
            }
        )
        return seal(key, value, _bound_to(connection), self._random(NONCE_BYTES))

    def _unseal(self, connection: GitConnection, sealed: bytes) -> GitSecret:
        key = self._keyring.get(connection.id).key
        value = unseal(key, sealed, _bound_to(connection), "a Git connection")
        return GitSecret(**orjson.loads(value))


def _bound_to(connection: GitConnection) -> bytes:
    return associated(
        "bailee/git-connection/1",
        connection.id,
        connection.account_id,
        connection.kind,
        connection.place,
    )


def _connection(row: Row[tuple[object, ...]]) -> GitConnection:
    return GitConnection(
        row.id, row.account_id, SecretKind(row.kind), row.place, row.created_at, row.created_by
    )


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _place(text: str) -> str:
    """A place in its one way of writing.

    Raises:
        InputError: it is none.
    """
    hint = "write a host, or a host and an owner: github.com/acme"
    host, _, owner = text.removeprefix("https://").partition("/")
    owner = owner.rstrip("/")
    if not all(0x20 < ord(c) < 0x7F and c not in "@?#%\\" for c in owner):
        raise InputError("that is not a place for a Git connection.", hint=hint)
    try:
        name, port = read_authority(host, 443)
    except NotAHost as error:
        raise InputError(f"that is not a place for a Git connection: {error}.", hint=hint) from None
    authority = name.bracketed + ("" if port == 443 else f":{port}")
    return f"{authority}/{owner}" if owner else authority


def _check(kind: SecretKind, secret: GitSecret) -> None:
    """Whether a kind has what it takes.

    Raises:
        InputError: something is missing or malformed.
    """
    if kind is SecretKind.GITHUB_APP:
        number = secret.installation_id
        if not (secret.app_id and number.isascii() and number.isdecimal()):
            raise InputError(
                "a GitHub App has an app id and the number of its installation.",
                hint="give --app-id and --installation-id",
            )
        check_private_key(secret.secret)
        return
    if not secret.secret or not secret.secret.isascii() or not secret.secret.isprintable():
        raise InputError("that is not a token or password: one line of plain characters.")
    if kind is SecretKind.BASIC and (not secret.user or ":" in secret.user):
        raise InputError("a password has a user name, without a colon.", hint="give --user")
