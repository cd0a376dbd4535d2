"""Where a home's sealed segments and reports are: in folders of it, or in a bucket; opened.

    PREFIX/home.json             which home they are of
    PREFIX/segments/...          as in `vault/segments/`
    PREFIX/reports/...           as in `vault/reports/`
    PREFIX/spool/...             what is answered and large, until it is filed (`node.spooling`)
    vault/objects.json           in the home, that they are in a bucket

Rules kept here:

* A prefix is one home's. It says so in a mark there, which is put once and only where none is.
* A home that has some of them in folders is not opened with a bucket in their place, and one that
  has them in a bucket not without, nor with a prefix that has lost its mark: each would look like a
  home that has lost them.
* A start asks the bucket. One that is not there or does not answer is a reason not to start; later
  it may be away (guide, "On PostgreSQL").

Keys never lie in a bucket, so what it deletes may live on there as a version: nothing opens it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from bailee.config import Settings
from bailee.errors import InputError, IntegrityError, StorageError
from bailee.home import Home, parts
from bailee.outbound.bucket import BucketPatience, open_store, why
from bailee.vault.objects import FolderObjects, Objects, StoredObjects

SETTING: Final = "objects.url"
SEGMENTS: Final = "segments"
REPORTS: Final = "reports"
KINDS: Final = (SEGMENTS, REPORTS)
_SPOOL: Final = "spool"
_MARK: Final = "home.json"
_MOST: Final = 4096  # bytes of a mark
_PATIENCE: Final = BucketPatience(connect=5, request=120, silence=30, again=2, all=60)
_SOON: Final = BucketPatience(connect=3, request=10, silence=10, again=0, all=10)
_AWAY: Final = (
    "check the bucket's name, AWS_ENDPOINT_URL_S3, AWS_REGION and what these credentials may do"
)


@dataclass(frozen=True, slots=True)
class HomeObjects:
    """A home's objects, by kind. `where`: the bucket and prefix; None: folders. `check` asks the
    bucket whether it is there and this home's, and raises as `open_objects` does.
    """

    of: Callable[[str], Objects]
    """Those of a kind; of a folder, made where it is not there. Raises: StorageError."""
    where: str | None = None
    check: Callable[[], None] = lambda: None
    spool: Objects | None = None
    """Those of the spool, which nobody waits long for and no backup has; None: it has none."""

    def named(self, path: str) -> tuple[Objects, str] | None:
        """What a file of a home is as an object: its kind's, and its name among them; None: it is
        none.
        """
        vault, _, below = path.partition("/")
        kind, _, name = below.partition("/")
        return (self.of(kind), name) if vault == "vault" and kind in KINDS else None


def are_elsewhere(settings: Settings) -> bool:
    """Whether they are in a bucket."""
    return settings.text(SETTING) is not None


def open_objects(
    home: Home,
    settings: Settings,
    environment: Mapping[str, str],
    home_id: str,
    *,
    begun: str = "",
) -> HomeObjects:
    """Open them. A new home's folders, or its mark in an empty prefix, are made. `begun`: by what a
    restore knows again which prefix it has begun to fill; it fills none but an empty one.

    Raises:
        InputError: code `configuration`: the setting names no bucket, or does not fit the home.
        IntegrityError: code `home_parts`: what is there is another home's, or is not there.
        StorageError: the bucket can't be reached, or will not do; the home can't be written.
    """
    known = home.objects_file.exists()
    given = settings.text(SETTING)
    if given is None:
        if known:
            raise InputError(
                f"this home has its objects in a bucket, and {SETTING} is not set.",
                code="configuration",
                hint=f"set it where the server starts; {home.objects_file} says which it was",
            )
        return HomeObjects(lambda kind: FolderObjects(home.vault / kind))
    if not known and any(_has_files(home, kind) for kind in KINDS):
        raise InputError(
            f"this home has its objects in folders, and {SETTING} names a bucket.",
            code="configuration",
            hint='it moves there by a backup and a restore (guide, "On PostgreSQL")',
        )
    root = open_store(given, environment, _SOON)
    _demand_own(root, home_id, begun, known=known)
    if not known:
        parts.write_objects(home, home_id, given)
    kept = {kind: StoredObjects(open_store(given, environment, _PATIENCE, kind)) for kind in KINDS}
    return HomeObjects(
        kept.__getitem__,
        given,
        lambda: _demand_own(root, home_id, "", known=True),
        StoredObjects(open_store(given, environment, _SOON, _SPOOL)),
    )


def spool_beside(settings: Settings, environment: Mapping[str, str], home_id: str) -> Objects:
    """The spool's objects in the bucket of a home that another process has. Nothing is made there.

    Raises:
        InputError: code `configuration`: the setting names no bucket.
        IntegrityError: code `home_parts`: it is not this home's.
        StorageError: the bucket can't be reached, or will not do.
    """
    given = settings.text(SETTING) or ""
    _demand_own(open_store(given, environment, _SOON), home_id, "", known=True)
    return StoredObjects(open_store(given, environment, _SOON, _SPOOL))


def whose(settings: Settings, environment: Mapping[str, str]) -> str | None:
    """The id of the home whose objects the bucket has; None: nobody's. Changes nothing.

    Raises:
        InputError: code `configuration`: the setting names no bucket.
        IntegrityError: its mark is damaged.
        StorageError: the bucket can't be reached, or will not do.
    """
    store = open_store(settings.text(SETTING) or "", environment, _SOON)
    mark = _mark(store)
    if mark is None:
        _is_empty(store)
    return None if mark is None else mark["home"]


def has_versions(settings: Settings, environment: Mapping[str, str]) -> bool:
    """Whether the bucket keeps versions of what is deleted, or once did: its mark is one of them.

    Raises:
        InputError, StorageError: as from `whose`; the mark is not there.
    """
    store = open_store(settings.text(SETTING) or "", environment, _SOON)
    try:
        return store.head(_MARK).get("version") is not None
    except (BaseError, OSError) as error:
        raise _away("read", error) from None


def _demand_own(store: S3Store, home_id: str, begun: str, *, known: bool) -> None:
    mark = _mark(store)
    empty = mark is None and _is_empty(store)
    if mark is None and known:
        raise IntegrityError(
            f"what {SETTING} names has no mark of this home, whose objects are in a bucket.",
            code="home_parts",
            hint="name the bucket and prefix where they are; nothing was changed",
        )
    if mark is None:
        if not empty:
            raise InputError(
                f"what {SETTING} names is not empty.",
                code="configuration",
                hint="a home's objects have a prefix of their own: name another one",
            )
        own = {"home": home_id, **({"restore": begun} if begun else {})}
        try:
            store.put(_MARK, json.dumps(own).encode(), mode="create")
        except AlreadyExistsError:  # by a request of ours whose answer was lost, or another home
            pass
        except (BaseError, OSError) as error:
            raise _away("written", error) from None
        mark = _mark(store) or {}
    if mark.get("home") != home_id:
        raise IntegrityError(
            f"what {SETTING} names is another home's.",
            code="home_parts",
            hint="name a prefix of this home's own; nothing was changed",
        )
    if begun and mark.get("restore") != begun:
        raise InputError(
            f"what {SETTING} names has objects of the home that was backed up, or of another "
            "restore.",
            code="configuration",
            hint="a home is restored into a prefix of its own: name an empty one",
        )


def _mark(store: S3Store) -> dict[str, str] | None:
    try:
        raw = bytes(store.get_range(_MARK, start=0, length=_MOST))
    except FileNotFoundError:
        return None
    except (BaseError, OSError) as error:
        raise _away("read", error) from None
    try:
        found = json.loads(raw)
        return {str(name): str(value) for name, value in found.items() if found["home"]}
    except (ValueError, KeyError, AttributeError, TypeError):
        raise IntegrityError(
            f"the mark in what {SETTING} names is damaged: it does not say whose objects it has.",
            code="home_parts",
            hint=f"put {_MARK} back from a copy or an older version; nothing was changed",
        ) from None


def _is_empty(store: S3Store) -> bool:
    """Whether nothing is below the prefix. It also tells a bucket that is not there from one that
    has no mark.
    """
    try:
        return not any(store.list(chunk_size=1))
    except (BaseError, OSError) as error:
        raise _away("listed", error) from None


def _has_files(home: Home, kind: str) -> bool:
    return any(one.is_file() for one in (home.vault / kind).rglob("*"))


def _away(what: str, error: Exception) -> StorageError:
    return StorageError(f"what {SETTING} names can't be {what} ({why(error)}).", hint=_AWAY)
