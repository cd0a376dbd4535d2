"""What it costs to find a session by its words, and to make of an exchange what finds it.

`BAILEE_BENCH_SEARCH` is how many sessions an account has (100,000 unless it is set), of 400 words
each on average. Searched is for a word that none has, so that each is looked at, and none opened.

Against it, in the same run: the same rows read as they lie, nothing opened. And for one exchange,
what the sealer takes to make its record.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from array import array
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from bailee.db.vault import session_words, sessions
from bailee.items.words import words_of
from bailee.keyring import Keyring, Want
from bailee.testing import FakeClock
from bailee.vault.indexing import TEXT, WORDS
from bailee.vault.interpreted import Interpreted
from bailee.vault.session_words import Telling, merged, seal_telling, seal_words
from bailee.vault.vault import Vault
from bench.alone import vault_in
from bench.result import Line

SESSIONS = int(os.environ.get("BAILEE_BENCH_SEARCH", "100000"))
WORDS_EACH = 400
_AT_ONCE = 5_000
_OWNER = "owner"


def main() -> list[Line]:
    """Measure and print; the lines of the closing table."""
    chance = random.Random(7)
    clock = FakeClock()
    with (
        tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder,
        vault_in(Path(folder), lambda _exchange: Interpreted(), clock) as (vault, keyring),
    ):
        for start in range(0, SESSIONS, _AT_ONCE):
            _fill(vault, keyring, clock, range(start, min(start + _AT_ONCE, SESSIONS)), chance)
        first = _page(vault, clock, 1.0)
        took, processor, _ = _page(vault, clock, 1e6)
        began = time.perf_counter()
        with vault._engine.connect() as connection:
            for _ in connection.execute(select(sessions.c.id, session_words.c.words).join_from(
                sessions, session_words, session_words.c.session == sessions.c.number
            )):  # fmt: skip
                pass
        plain = time.perf_counter() - began
    return [
        (
            f"a word that none of {SESSIONS:,} sessions has, {WORDS_EACH} words each",
            f"{took:.1f} s ({processor:.1f} s of processor)",
            f"the same rows read, nothing opened {plain:.1f} s",
        ),
        (
            "sessions in a page of one second",
            f"{first[2]:,}",
            f"{processor / SESSIONS * 1e6:.0f} µs of processor each",
        ),
        _making(chance),
    ]


def _page(vault: Vault, clock: FakeClock, seconds: float) -> tuple[float, float, int]:
    """Seconds, those of the processor, and how many sessions were looked at."""
    began, busy = time.perf_counter(), time.process_time()
    page = vault.searching.search(
        "zzunsaid", clock(), asker="a", owner=_OWNER, limit=20, seconds=seconds
    )
    return time.perf_counter() - began, time.process_time() - busy, page.searched


def _fill(
    vault: Vault, keyring: Keyring, clock: FakeClock, some: range, chance: random.Random
) -> None:
    rows = [_row(number, clock) for number in some]
    keyring.many(Want(f"session:{r['id']}", "transcript", r["expires_at"]) for r in rows)
    keys = keyring.keys_of([f"session:{row['id']}" for row in rows])
    found = [_words(row["id"], keys[f"session:{row['id']}"], chance) for row in rows]
    with vault._engine.begin() as connection:
        connection.execute(insert(sessions), rows)
        connection.execute(insert(session_words), found)


def _words(session: str, key: bytes, chance: random.Random) -> dict[str, Any]:
    count = chance.randint(WORDS_EACH // 4, WORDS_EACH * 7 // 4)
    words = array("I", sorted(chance.getrandbits(32) for _ in range(count))).tobytes()
    return {
        "session_id": session,
        "covers": 1,
        "whole": 1,
        "about": seal_telling(Telling("a title"), key, session, 1, os.urandom(12)),
        "words": seal_words(words, key, session, 1, os.urandom(12)),
    }


def _making(chance: random.Random) -> Line:
    """What an exchange of 20,000 characters costs, most of whose words the session has had."""
    known = [f"{chance.getrandbits(40):x}" for _ in range(2_000)]
    text = " ".join(chance.choice(known) for _ in range(2_000))
    had, _ = merged(b"", known)
    times, began = 20, time.process_time()
    for _ in range(times):
        merged(had, words_of([text], most_text=TEXT, most_words=WORDS).words)
    took = (time.process_time() - began) / times
    return (
        f"the words of an exchange of {len(text):,} characters",
        f"{took * 1e3:.1f} ms of processor, behind the sealer",
        "see `vault` for what the sealer takes",
    )


def _row(number: int, clock: FakeClock) -> dict[str, Any]:
    last = clock() - timedelta(minutes=number)
    return {
        "id": f"{number:08x}-0000-4000-8000-000000000000",
        "owner": _OWNER,
        "client_session": None,
        "data_class": "transcript",
        "plan": "pro",
        "channel": "api",
        "key_id": "k",
        "started": last,
        "last_activity": last,
        "last_request": last,
        "uses": "pro/api",
        "exchanges": 1,
        "bytes": 1_000,
        "expires_at": clock() + timedelta(days=1, minutes=30 * (number % 1_400)),
        "period": "P30D",
        "clause": "allowed",
        "document": "d" * 64,
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "last_consent": 0,
    }
