"""Stored Git connections: sealed, chosen by place, and turned into what a git server takes."""

from __future__ import annotations

import asyncio
import io
import json
import time
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import RSAKey

from bailee.cloud.git import CredentialUse, GitProxy, Repository
from bailee.cloud.git.connections import (
    GitConnection,
    GitConnections,
    GitSecret,
    SecretKind,
    _place,
)
from bailee.cloud.git.github import GithubApi
from bailee.errors import BaileeError, InputError, IntegrityError, UpstreamError
from bailee.outbound.dialing import Dialer
from support.clients.asking import perform
from support.homes.places import Place
from support.servers.github_app import GitHubApi

from .conftest import BRANCH, LOOPBACK, TOKEN, Setting

pytestmark = pytest.mark.row("C2")

PLANTED = "ghp_planted-medlar-token"
# An app's key as GitHub makes it.
PEM = (
    rsa.generate_private_key(65537, 2048)
    .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    .decode()
)
KEY = RSAKey.import_key(PEM)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An open home with an account."""
    made = Place(tmp_path / "home")
    yield made
    made.close()


def ask(home: Place, operation: str, **arguments: Any) -> Any:
    """An operation of the home."""
    return perform(home.node, operation, arguments)


def add(home: Place, where: str, secret: str = PLANTED, **arguments: Any) -> Any:
    """A stored connection."""
    arguments = {"kind": "github-token", "account": home.account} | arguments
    return ask(home, "cloud.git.add", place=where, secret=secret, **arguments)


def given(place: Place, url: str, access: CredentialUse = CredentialUse.WRITE) -> str | None:
    """The credential for a repository, as the git server would see it."""
    repository = Repository.read(url)
    credential = place.node.git_connections.credential(place.account, repository)
    found = asyncio.run(credential(access))  # type: ignore[arg-type]
    if found is None:
        return None
    return b64decode(found.removeprefix("Basic ")).decode()


def everything(folder: Path) -> bytes:
    """Every byte of a home."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


class TestStoring:
    def test_is_listed_without_its_secret(self, place: Place) -> None:
        """Whose, of what kind, for which place; the secret is in no file of the home."""
        added = add(place, "github.com/Acme")
        listed = ask(place, "cloud.git.list", account=place.account)
        assert [added] == listed
        assert ("github-token", "github.com/Acme") == (added["kind"], added["place"])
        assert PLANTED not in str(listed)
        assert PLANTED.encode() not in everything(place.folder)
        assert b64encode(PLANTED.encode())[:-3] not in everything(place.folder)
        assert f"x-access-token:{PLANTED}" == given(place, "https://github.com/acme/tool")

    def test_removing_destroys_its_key(self, place: Place) -> None:
        """What was removed is gone, and a copy of its row opens nothing."""
        added = add(place, "github.com")
        row = place.node.git_connections._row(added["id"])
        connection = place.node.git_connections.get(added["id"])
        ask(place, "cloud.git.remove", id=added["id"])
        assert [] == ask(place, "cloud.git.list", account=place.account)
        with pytest.raises(IntegrityError, match="destroyed"):
            place.node.git_connections._unseal(connection, row.sealed)
        with pytest.raises(InputError, match="there is no Git connection"):
            ask(place, "cloud.git.remove", id=added["id"])
        kinds = [leaf.kind for leaf in place.node.ledger.entries(subject=added["id"])]
        assert ["git_connection.added", "git_connection.removed"] == kinds

    def test_one_for_the_same_place_replaces_it(self, place: Place) -> None:
        """A new token takes the place of the old one."""
        add(place, "github.com", "old")
        new = add(place, "https://GitHub.com/", "new")
        assert [new] == ask(place, "cloud.git.list", account=place.account)
        assert "x-access-token:new" == given(place, "https://github.com/acme/tool")

    def test_a_person_sees_it_and_takes_it_along(self, place: Place) -> None:
        """A person's copy of everything has their connections, without secrets; the connections of
        who is erased go with them.
        """
        made = ask(place, "person.create", email="ada@example.org", plan="pro")
        added = add(place, "github.com", account=made["account"])
        copy = b"".join(
            b64decode(item["data"])
            for item in ask(place, "person.export", id=made["person"])
            if "data" in item
        )
        with zipfile.ZipFile(io.BytesIO(copy)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        assert added == json.loads(files["git-connections.jsonl"])
        assert [] == [name for name, content in files.items() if PLANTED.encode() in content]
        row = place.node.git_connections._row(added["id"])
        connection = place.node.git_connections.get(added["id"])
        ask(place, "person.erase", id=made["person"])
        with pytest.raises(InputError, match="there is no Git connection"):
            place.node.git_connections.get(added["id"])
        with pytest.raises(IntegrityError, match="destroyed"):
            place.node.git_connections._unseal(connection, row.sealed)

    def test_a_row_that_was_moved_opens_nothing(self, place: Place) -> None:
        """What is sealed is bound to its account, kind and place."""
        connections = place.node.git_connections
        connection = connections.get(add(place, "github.com")["id"])
        sealed = connections._row(connection.id).sealed
        for changed in (
            replace(connection, account_id="acc_other"),
            replace(connection, place="evil.example"),
            replace(connection, kind=SecretKind.BASIC),
        ):
            with pytest.raises(IntegrityError, match="does not authenticate"):
                connections._unseal(changed, sealed)

    def test_it_is_there_after_a_restart(self, place: Place) -> None:
        """A home that is opened again has its connections."""
        add(place, "github.com")
        place.close()
        place.open()
        assert f"x-access-token:{PLANTED}" == given(place, "https://github.com/acme/tool")

    def test_another_account_has_none(self, place: Place) -> None:
        """A connection serves its own account, and only its own may see to it."""
        added = add(place, "github.com")
        made = ask(place, "person.create", email="bob@example.org", plan="pro")
        assert [] == ask(place, "cloud.git.list", key=made["key"])
        for operation, arguments in (
            ("cloud.git.list", {"account": place.account}),
            ("cloud.git.remove", {"id": added["id"]}),
        ):
            with pytest.raises(InputError) as refused:
                ask(place, operation, key=made["key"], **arguments)
            assert "forbidden" == refused.value.code
        repository = Repository.read("https://github.com/acme/tool")
        credential = place.node.git_connections.credential(made["account"], repository)
        assert asyncio.run(credential(CredentialUse.READ)) is None  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "arguments",
        [
            {"kind": "githab"},
            {"kind": "basic"},
            {"kind": "basic", "user": "a:b"},
            {"kind": "github-app", "app_id": "1", "installation_id": "2"},
            {"kind": "github-app", "app_id": "1", "installation_id": "../2", "secret": PEM},
            {"kind": "github-app", "installation_id": "2", "secret": PEM},
            {"secret": "two\nlines planted"},
            {"secret": ""},
            {"where": "github.com@evil.example"},
            {"where": "2130706433"},
            {"where": "github.com/a?b"},
            {"where": ""},
        ],
    )
    def test_what_is_refused(self, place: Place, arguments: dict[str, str]) -> None:
        """What can't be a connection is refused, and the error repeats nothing of the secret."""
        given_ = {"where": "github.com"} | arguments
        with pytest.raises(InputError) as refused:
            add(place, given_.pop("where"), **given_)
        assert "planted" not in refused.value.message
        assert "BEGIN" not in str(refused.value.api_body())
        assert [] == ask(place, "cloud.git.list", account=place.account)


class TestChoosing:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://github.com/acme/tool", "x-access-token:of-acme"),
            ("https://github.com/ACME/tool.git", "x-access-token:of-acme"),
            ("https://github.com/acme-evil/tool", "x-access-token:of-all"),
            ("https://github.com/other/tool", "x-access-token:of-all"),
            ("https://gitlab.com/group/sub/tool", "oauth2:of-gitlab"),
            ("https://git.example.org:8443/tool", "ada:of-basic"),
        ],
    )
    def test_by_place(self, place: Place, url: str, expected: str) -> None:
        """The connection whose place says most of the repository is used."""
        add(place, "github.com/acme", "of-acme")
        add(place, "github.com", "of-all")
        add(place, "gitlab.com", "of-gitlab", kind="gitlab-token")
        add(place, "git.example.org:8443", "of-basic", kind="basic", user="ada")
        assert expected == given(place, url)

    @pytest.mark.parametrize(
        "url",
        [
            "https://github.com.evil.example/acme/tool",
            "https://evil-github.com/acme/tool",
            "https://github.com:8443/acme/tool",
            "https://git.example.org/tool",
        ],
    )
    def test_never_for_another_host(self, place: Place, url: str) -> None:
        """For any other host there is none: reading is tried without, pushing is refused."""
        add(place, "github.com")
        add(place, "git.example.org:8443")
        assert given(place, url, CredentialUse.READ) is None
        with pytest.raises(InputError, match="no Git connection is stored for"):
            given(place, url)

    def test_a_place_is_written_in_one_way(self) -> None:
        """A host as it is; a port that is not the usual one; an owner, or a group within one."""
        assert ["github.com", "a.example:1", "gitlab.com/a/b"] == [
            _place(text) for text in ("https://GitHub.com/", "a.example:1", "gitlab.com/a/b/")
        ]


@pytest.fixture
def github(setting: Setting) -> Iterator[GitHubApi]:
    """GitHub's API, for an app that is installed on the setting's repository and another."""
    with GitHubApi("4711", "12", ("repo", "other"), KEY) as api:
        yield api


def app_of(place: Place, setting: Setting, github: GitHubApi, **changes: str) -> GitConnection:
    """A connection of the app for the setting's server, in a home that reaches its API."""
    authority = f"127.0.0.1:{setting.server.port}"
    node = place.node
    connections = GitConnections(
        node.data,
        keyring=node.keyring,
        ledger=node.ledger,
        clock=lambda: datetime.fromtimestamp(time.time(), UTC),
        apis={authority: github.url},
        dialer=Dialer(private=LOOPBACK),
    )
    secret = GitSecret(PEM, app_id="4711", installation_id="12")
    place.node = replace(node, git_connections=connections)
    return connections.add(
        place.account, "github-app", authority, replace(secret, **changes), by="operator"
    )


class TestGitHubApp:
    def test_a_session_clones_and_pushes_with_its_tokens(
        self, place: Place, setting: Setting, github: GitHubApi
    ) -> None:
        """Each operation has a token of its own: for one repository, to read contents or to write
        them, and nothing else. Neither it nor the app's key is seen by the session.
        """
        app_of(place, setting, github)
        repository = Repository.read(setting.server.url(setting.name))
        credential = place.node.git_connections.credential(place.account, repository)

        async def minted(access: CredentialUse) -> str | None:
            found = await credential(access)
            setting.server.user, setting.server.password = (
                "x-access-token",
                github.given[-1]["token"],
            )
            return found

        setting.served.service = GitProxy(
            repository,
            branch=BRANCH,
            token=TOKEN,
            credential=minted,
            record=setting.records.append,
            dialer=Dialer(private=LOOPBACK),
            tls=setting.trust,
        ).serve
        setting.clone()
        tip = setting.commit()
        pushed = setting.git("push", "origin", "HEAD")
        assert pushed.status == 0, pushed.output
        assert tip == setting.tip()
        asked = [one["permissions"] for one in github.given]
        read, write = ({"contents": c, "metadata": "read"} for c in ("read", "write"))
        assert [read] * 3 + [write] * 2 == asked
        assert {"repo"} == {r["name"] for one in github.given for r in one["repositories"]}
        seen = bytes(setting.served.to_client)
        secrets = [one["token"] for one in github.given] + PEM.splitlines()[1:-1]
        assert [] == [secret for secret in secrets if secret.encode() in seen]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"permissions": {"contents": "write", "workflows": "write"}}, "other permissions"),
            ({"permissions": {"contents": "read"}}, "other permissions"),
            ({"repositories": [{"name": "repo"}, {"name": "other"}]}, "other repositories"),
            ({"repositories": []}, "other repositories"),
            ({"token": "a\r\nb"}, "not what its documentation says"),
            ({"token": None}, "not what its documentation says"),
        ],
    )
    def test_a_token_that_may_more_is_not_used(
        self, place: Place, setting: Setting, github: GitHubApi, change: dict[str, Any], said: str
    ) -> None:
        """A token with workflows, or for other repositories, never goes to a server."""
        app_of(place, setting, github)
        github.change = change
        with pytest.raises(UpstreamError, match=said):
            given(place, setting.server.url(setting.name))

    def test_what_github_refuses(self, place: Place, setting: Setting, github: GitHubApi) -> None:
        """A repository without the app, another app's key, an API that is not there."""
        app_of(place, setting, github)
        other = setting.server.url("acme/secret.git")
        with pytest.raises(UpstreamError, match=r"no token for this repository \(422\)"):
            given(place, other)
        app_of(place, setting, github, app_id="1")
        with pytest.raises(UpstreamError, match=r"no token for this repository \(401\)"):
            given(place, setting.server.url(setting.name))
        place.node.git_connections._dialer = Dialer()
        with pytest.raises(UpstreamError, match="its address is not public"):
            given(place, setting.server.url(setting.name))

    def test_addresses_of_its_api(self) -> None:
        """github.com's own, and that of a server of one's own; over TLS, except on loopback."""
        assert ("api.github.com", "") == (
            GithubApi.of("github.com").host.name,
            GithubApi.of("github.com").path,
        )
        own = GithubApi.of("ghe.example.org")
        assert ("ghe.example.org", "/api/v3", True) == (own.host.name, own.path, own.tls)
        with pytest.raises(BaileeError):
            GithubApi.read("http://api.github.com")
