"""Each place where sealed objects are kept does the same, a folder and a bucket of a server of S3
that is not ours, with a way there that fails.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from bailee.errors import StorageError
from bailee.outbound.bucket import BucketPatience, open_store
from bailee.testing.store import Fault, FaultyStore
from bailee.vault.objects import FolderObjects, Objects, StoredObjects
from support.servers.buckets import (
    BUCKET,
    KEY,
    SECRET,
    BucketRelay,
    environment,
)

pytestmark = pytest.mark.row("O6")

PATIENCE = BucketPatience(connect=10, request=120, silence=60, again=1, all=120)
LARGE = bytes(range(256)) * (17 << 12)
"""More than one part."""
_numbers = itertools.count()


def in_bucket(url: str) -> StoredObjects:
    """Objects below a prefix of their own."""
    below = f"s3://{BUCKET}/orchard/objects-{next(_numbers)}"
    return StoredObjects(open_store(below, environment(url), PATIENCE, "kept"))


@pytest.fixture(params=["folder", "bucket", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    """Each of them, with nothing in it."""
    made: dict[str, Callable[[], Objects]] = {
        "folder": lambda: FolderObjects(tmp_path / "kept"),
        "bucket": lambda: in_bucket(request.getfixturevalue("relay").url),
        "memory": FaultyStore,
    }
    return made[request.param]()


def test_what_was_put_is_there(objects: Objects) -> None:
    """Whole, in any part, with its size; the same again changes nothing."""
    for _ in range(2):
        objects.put("class/2031-01-01/one", b"medlar")
    assert 6 == objects.size("class/2031-01-01/one")
    assert b"medlar" == objects.get("class/2031-01-01/one", 0, 6)
    assert b"dla" == objects.get("class/2031-01-01/one", 2, 3)
    assert ["class/2031-01-01/one"] == list(objects.names())


def test_what_is_large_comes_in_parts(objects: Objects) -> None:
    """And is the same bytes."""
    objects.put("large", LARGE)
    assert len(LARGE) == objects.size("large")
    assert LARGE[-300:] == objects.get("large", len(LARGE) - 300, 300)
    assert LARGE == objects.get("large", 0, len(LARGE))


def test_what_is_not_there(objects: Objects) -> None:
    """Has no size and can't be read; to delete it is no error, and so once more."""
    assert objects.size("none") is None
    with pytest.raises(StorageError):
        objects.get("none", 0, 1)
    objects.delete("none")
    objects.put("one", b"medlar")
    for _ in range(2):
        objects.delete("one")
    assert objects.size("one") is None
    assert [] == list(objects.names())


@pytest.mark.usefixtures("relay")  # its credentials; a thousand requests go straight there
def test_more_than_a_page(bucket_server: str) -> None:
    """A list has pages; all names are given, and none of another prefix."""
    objects = in_bucket(bucket_server)
    in_bucket(bucket_server).put("elsewhere", b"1")
    names = [f"day/{number:04}" for number in range(1003)]
    for name in names:
        objects.put(name, b"1")
    assert names == sorted(objects.names())


@pytest.mark.parametrize("fault", list(Fault))
def test_a_request_that_fails(relay: BucketRelay, fault: Fault) -> None:
    """Carried out or not, it is an error, which names no object, no credential and no content; the
    same again is none.
    """
    objects = in_bucket(relay.url)
    said = []
    relay.fail("PUT", fault)
    with pytest.raises(StorageError) as failed:
        objects.put("class/one", b"medlar")
    said.append(failed.value)
    relay.heal()
    objects.put("class/one", b"medlar")
    assert b"medlar" == objects.get("class/one", 0, 6)
    asks: list[tuple[str, Callable[[], object]]] = [
        ("GET", lambda: objects.get("class/one", 0, 6)),
        ("HEAD", lambda: objects.size("class/one")),
        ("GET", lambda: list(objects.names())),
        ("POST", lambda: objects.delete("class/one")),  # S3 deletes many by one request
    ]
    for method, ask in asks:
        relay.fail(method, fault)
        with pytest.raises(StorageError) as failed:
            ask()
        said.append(failed.value)
        relay.heal()
    objects.delete("class/one")
    assert objects.size("class/one") is None
    for one in said:
        assert not any(word in f"{one.message} {one.hint}" for word in (KEY, SECRET, "medlar"))
        assert "class/one" not in one.message


def test_one_answer_that_is_lost(relay: BucketRelay) -> None:
    """Is asked for again, and nobody is told."""
    objects = in_bucket(relay.url)
    relay.lose("PUT", 1)
    objects.put("one", b"medlar")
    assert 2 == relay.asked["PUT"]
    relay.lose("GET", 1)
    assert b"medlar" == objects.get("one", 0, 6)


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_store_that_refuses(relay: BucketRelay, status: int) -> None:
    """With what it says on the way: it can't be written, and nothing of its answer is told."""
    objects = in_bucket(relay.url)
    relay.refuse(status, b"<Error><Message>medlar is full</Message></Error>")
    with pytest.raises(StorageError) as failed:
        objects.put("one", b"1")
    assert "medlar" not in f"{failed.value.message} {failed.value.hint}"
    relay.heal()
    objects.put("one", b"1")
