"""A git server with passwords, a git proxy before it, and git as a session would run it."""

from __future__ import annotations

import ipaddress
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from bailee.cloud.git import CredentialUse, GitLimits, GitProxy, GitRecord, Repository
from bailee.outbound.dialing import Dialer
from support.servers.git_server import GitServer, git, git_environment
from support.servers.serving import Served

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
TOKEN = "session-token-of-the-guest"
BRANCH = "refs/heads/bailee/s1"


@dataclass
class Git:
    """What a run of git said."""

    status: int
    output: str


@dataclass
class Setting:
    """A repository on the server, its proxy, and the session's side of it."""

    server: GitServer
    served: Served
    trust: ssl.SSLContext
    folder: Path
    name: str
    records: list[GitRecord] = field(default_factory=list)
    accesses: list[CredentialUse] = field(default_factory=list)

    @property
    def bare(self) -> Path:
        """The repository as the server has it."""
        return self.server.root / self.name

    def proxy(
        self,
        *,
        force: bool = False,
        limits: GitLimits | None = None,
        url: str | None = None,
        credential: Callable[[], str | None] | None = None,
        dialer: Dialer | None = None,
    ) -> GitProxy:
        """Make a proxy and serve it from now on."""

        async def authorization(access: CredentialUse) -> str | None:
            self.accesses.append(access)
            return credential() if credential is not None else self.server.authorization

        made = GitProxy(
            Repository.read(url or self.server.url(self.name), plain=url is not None),
            branch=BRANCH,
            token=TOKEN,
            credential=authorization,
            record=self.records.append,
            force=force,
            dialer=dialer or Dialer(private=LOOPBACK),
            tls=self.trust,
            limits=limits,
        )
        self.served.service = made.serve
        return made

    @property
    def url(self) -> str:
        """The repository's address, as the session has it."""
        return f"http://127.0.0.1:{self.served.port}/127.0.0.1/{self.name}"

    def git(self, *arguments: str, token: str = TOKEN, **environment: str) -> Git:
        """Run git as the session does, in its working copy once there is one."""
        work = self.folder / "work"
        done = subprocess.run(
            [
                *("git", "-c", f"http.extraHeader=Authorization: Bearer {token}"),
                *("-c", "protocol.version=2", *arguments),
            ],
            cwd=work if work.exists() else self.folder,
            env=git_environment() | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Git(done.returncode, done.stdout + done.stderr)

    def clone(self, *options: str) -> Path:
        """The working copy, on the session's branch."""
        got = self.git("clone", *options, self.url, "work")
        assert got.status == 0, got.output
        git("checkout", "--quiet", "-b", "bailee/s1", cwd=self.folder / "work")
        return self.folder / "work"

    def commit(self, text: str = "text") -> str:
        """One more commit in the working copy; its name."""
        work = self.folder / "work"
        (work / "file.txt").write_text(text)
        git("add", ".", cwd=work)
        git("commit", "--quiet", "--message", text[:20], cwd=work)
        return git("rev-parse", "HEAD", cwd=work).strip()

    def tip(self, ref: str = BRANCH) -> str:
        """What the server has under a ref."""
        return git("rev-parse", "--verify", "--quiet", ref, cwd=self.bare).strip()

    def refs(self) -> set[str]:
        """The refs that the server has."""
        return set(git("for-each-ref", "--format=%(refname)", cwd=self.bare).split())


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Whoever signs the servers' certificates here."""
    return trustme.CA()


@pytest.fixture(scope="session")
def git_server(
    tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA
) -> Iterator[GitServer]:
    """A git server on loopback, over TLS."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with GitServer(tmp_path_factory.mktemp("repositories"), tls=tls) as server:
        yield server


@pytest.fixture
def setting(git_server: GitServer, authority: trustme.CA, tmp_path: Path) -> Iterator[Setting]:
    """A repository with three commits and a tag, and its proxy."""
    name = f"{tmp_path.name}/repo.git"
    bare = git_server.make(name, **{"uploadpack.allowFilter": "true"})
    seed = tmp_path / "seed"
    git("init", "--quiet", "--initial-branch=main", str(seed))
    for number in range(3):
        (seed / f"{number}.txt").write_text(f"{number}\n" * 100)
        git("add", ".", cwd=seed)
        git("commit", "--quiet", "--message", f"commit {number}", cwd=seed)
    git("tag", "v0", cwd=seed)
    git("push", "--quiet", str(bare), "main", "v0", cwd=seed)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with Served() as served:
        made = Setting(git_server, served, trust, tmp_path, name)
        made.proxy()
        yield made
