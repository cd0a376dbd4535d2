"""What a request to the git proxy asks for, from its method and address alone. Pure.

Rules kept here:

* The address is compared byte for byte with those of the one repository: nothing is decoded,
  nothing folded, so no other spelling leads anywhere.
* Only git's smart HTTP (gitprotocol-http). What else git tools ask for is refused with a reason
  in the form that its tool shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from bailee.errors import InputError
from bailee.outbound.hosts import Host, NotAHost, read_authority

FETCH: Final = "git-upload-pack"
PUSH: Final = "git-receive-pack"


@dataclass(frozen=True, slots=True)
class Repository:
    """The one repository of a session. `path` begins with a slash and has none at its end."""

    host: Host
    port: int
    path: str
    tls: bool

    @classmethod
    def read(cls, url: str, *, plain: bool = False) -> Repository:
        """From `https://host[:port]/path`. `plain`: http:// is taken too, for a server on loopback
        or one that the operator knows.

        Raises:
            InputError: it is not such an address. The message does not repeat it: it may hold a
                password.
        """
        hint = "write it like https://github.com/owner/name"
        parts = urlsplit(url)
        if parts.scheme not in (("https", "http") if plain else ("https",)):
            raise InputError("the repository's address does not begin with https://.", hint=hint)
        if "@" in parts.netloc:
            raise InputError(
                "the repository's address has a user name or password in it.",
                hint="take it out, and store a Git connection: bailee cloud git add",
            )
        path = parts.path.rstrip("/")
        if parts.query or parts.fragment or not path or not _plain(path):
            raise InputError("the repository's address has no plain path.", hint=hint)
        try:
            host, port = read_authority(parts.netloc, 443 if parts.scheme == "https" else 80)
        except NotAHost as error:
            raise InputError(f"the repository's address: {error}.", hint=hint) from None
        return cls(host, port, path, parts.scheme == "https")

    @property
    def authority(self) -> str:
        """As Host has it."""
        usual = self.port == (443 if self.tls else 80)
        return self.host.bracketed + ("" if usual else f":{self.port}")

    @property
    def name(self) -> str:
        """Host and path, as a person calls it."""
        return f"{self.host.name}{self.path.removesuffix('.git')}"

    @property
    def base(self) -> str:
        """Its address inside the guest, below the proxy's."""
        return f"/{self.host.name}{self.path}"


def _plain(path: str) -> bool:
    good = all(0x20 < ord(c) < 0x7F and c not in '"<>\\^`{|}' for c in path)
    return good and ".." not in path.split("/") and "//" not in path


class GitService(StrEnum):
    """What is asked for."""

    ADVERTISE_FETCH = "advertise_fetch"
    ADVERTISE_PUSH = "advertise_push"
    FETCH = "fetch"
    PUSH = "push"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class GitRoute:
    """`ask`, and if it is refused already: the rule and the reason. `lfs`: it is for git lfs."""

    ask: GitService
    rule: str = ""
    reason: str = ""
    lfs: bool = False


_ADVERTISE: Final = {
    f"service={FETCH}": GitService.ADVERTISE_FETCH,
    f"service={PUSH}": GitService.ADVERTISE_PUSH,
}
_POSTS: Final = {f"/{FETCH}": GitService.FETCH, f"/{PUSH}": GitService.PUSH}


def route(method: str, target: str, repository: Repository) -> GitRoute:
    """What a request is for."""
    path, _, query = target.partition("?")
    ask, suffix = _ask(method, path, query)
    if "/info/lfs" in path:
        reason = "Git LFS does not go through the git proxy; files in LFS can't be had or pushed"
        return GitRoute(GitService.OTHER, "lfs", reason, lfs=True)
    if ask is GitService.OTHER:
        if method in ("GET", "HEAD"):
            reason = "the dumb protocol does not go through the git proxy; use git's smart HTTP"
            return GitRoute(ask, "dumb_protocol", reason)
        return GitRoute(ask, "not_git", "that is no request of git's smart HTTP")
    bases = {repository.base, repository.base.removesuffix(".git")}
    bases |= {repository.base + ".git"} if not repository.base.endswith(".git") else set()
    if path.removesuffix(suffix) not in bases:
        return GitRoute(ask, "repository", f"this session reaches only {repository.name}")
    return GitRoute(ask)


def _ask(method: str, path: str, query: str) -> tuple[GitService, str]:
    if method == "GET" and path.endswith("/info/refs"):
        return _ADVERTISE.get(query, GitService.OTHER), "/info/refs"
    if method == "POST" and not query:
        for suffix, ask in _POSTS.items():
            if path.endswith(suffix):
                return ask, suffix
    return GitService.OTHER, ""
