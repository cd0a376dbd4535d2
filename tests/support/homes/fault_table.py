"""What may happen to the files of a home: what is said of it, what is lost by it, what to do.

The faults' tests hold a home to it (`tests/faults/test_damaged_home.py`), and the page
`docs/reference/faults.md` is made from it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.homes.damaged_home import (
    BOBS,
    HELD,
    LATE,
    LONG,
    SHIPPED,
    UNSEALED,
    Damage,
    flip,
    row_at,
)

OPEN: Final = frozenset({HELD, LONG, LATE})
SEALED: Final = frozenset({BOBS, SHIPPED})
PEOPLE: Final = frozenset({"people", "key of ada", "key of bob"})
NOTHING: Final[frozenset[str]] = frozenset()
METRICS: Final = frozenset({"metrics"})
PUT_BACK: Final = "Put back what was there last."
SALVAGE: Final = "Put back what was there last, or `bailee home salvage`."
RESTORE: Final = "Restore it from a backup, or leave it: all else goes on."


@dataclass(frozen=True, slots=True)
class Fault:
    """A line of the table. `said`: by the refusal of the start, or by `bailee verify` and whoever
    is refused; empty: by nobody. `loses`: what may be missing afterwards, in the test's home.
    `refused` None: by which page of a table it strikes; `or_said`: where it strikes a row.
    `folded`: of a home that was stopped.
    """

    what: str
    fault: str
    said: str
    lost: str
    do: str
    damages: tuple[Damage, ...]
    refused: bool | None = False
    loses: frozenset[str] = NOTHING
    folded: bool = False
    or_said: str = ""


def _at(pattern: str, part: float) -> Damage:
    def damage(home: Path, _other: Path) -> None:
        file = _largest(home, pattern)
        length = len(file.read_bytes().rstrip(b"\0"))
        flip(file, min(length - 1, int(length * part)))

    return damage


def _begin_middle_end(pattern: str, end: float = 0.97) -> tuple[Damage, ...]:
    return _at(pattern, 0), _at(pattern, 0.5), _at(pattern, end)


def _with(pattern: str, change: Callable[[Path], object]) -> Damage:
    return lambda home, _other: change(_largest(home, pattern)) and None


def _half(pattern: str) -> Damage:
    def cut(file: Path) -> None:
        content = file.read_bytes()
        file.write_bytes(content[: len(content.rstrip(b"\0")) // 2])

    return _with(pattern, cut)


def _empty(pattern: str) -> Damage:
    return _with(pattern, lambda file: file.write_bytes(b""))


def _missing(pattern: str) -> Damage:
    return _with(pattern, Path.unlink)


def _row(database: str, table: str, *places: int, which: str = "1") -> tuple[Damage, ...]:
    """A flip in a row: so many bytes from the end of its first text."""

    def damage(place: int) -> Damage:
        def change(home: Path, _other: Path) -> None:
            flip(home / database, row_at(home / database, table, which)[1] + place)

        return change

    return tuple(damage(place) for place in places)


def _before_row(database: str, table: str) -> tuple[Damage, ...]:
    def damage(home: Path, _other: Path) -> None:
        flip(home / database, row_at(home / database, table)[0] - 3)

    return (damage,)


def _in_log(log: str, text: bytes) -> Damage:
    """A flip in the first frame of a log that has a text."""

    def damage(home: Path, _other: Path) -> None:
        at = (home / log).read_bytes().find(text)
        assert at > 0, text
        flip(home / log, at)

    return damage


def _gone(folder: str) -> Damage:
    return lambda home, _other: shutil.rmtree(home / folder)


def _swapped(folder: str) -> Damage:
    def damage(home: Path, other: Path) -> None:
        shutil.rmtree(home / folder)
        shutil.copytree(other / folder, home / folder)

    return damage


def _largest(home: Path, pattern: str) -> Path:
    return max(home.glob(pattern), key=lambda path: (path.stat().st_size, path.name))


DATA, KEYS = "data/data.db", "keyring/keyring.db"
OPEN_SEGMENT, SEGMENT, SPOOL = "vault/open/*", "vault/segments/*/*/*", "vault/spool/*"
JOURNAL, DAYS, REPORT = "vault/telemetry/journal/*", "vault/telemetry/days/*", "vault/reports/*"
UNSOUND = "the row is not what was written; it counts for nothing."

FAULTS: Final[tuple[Fault, ...]] = (
    Fault(
        "`bailee.toml`",
        "a byte changed",
        "is not TOML",
        "Nothing.",
        "Mend it at the place.",
        (_at("bailee.toml", 0),),
        refused=True,
    ),
    Fault(
        "`bailee.toml`",
        "cut, empty or missing",
        "",
        "What was set: the defaults hold.",
        PUT_BACK,
        (_half("bailee.toml"), _empty("bailee.toml"), _missing("bailee.toml")),
    ),
    Fault(
        "`home.json`",
        "a byte changed, cut, or empty",
        "home.json is",
        "Nothing.",
        "Remove it: it is made again.",
        (*_begin_middle_end("home.json"), _half("home.json"), _empty("home.json")),
        refused=True,
    ),
    Fault(
        "`home.json`",
        "missing",
        "",
        "Nothing: it is made again.",
        "Nothing.",
        (_missing("home.json"),),
    ),
    Fault(
        "`vault/home.json`",
        "a byte changed, cut, empty or missing",
        "vault/",
        "Nothing.",
        PUT_BACK,
        (
            *_begin_middle_end("vault/home.json"),
            _half("vault/home.json"),
            _empty("vault/home.json"),
            _missing("vault/home.json"),
        ),
        refused=True,
    ),
    Fault(
        "`root/root.json`",
        "a byte changed, cut, empty or missing",
        "root",
        "Nothing, if it is put back. Without it everything is lost for good.",
        "Put it back from its own backup.",
        (
            *_begin_middle_end("root/root.json"),
            _half("root/root.json"),
            _empty("root/root.json"),
            _missing("root/root.json"),
        ),
        refused=True,
    ),
    Fault(
        "`data/data.db`",
        "empty or missing",
        "data/ of this home is not there",
        "Nothing.",
        PUT_BACK,
        (_empty(DATA), _missing(DATA)),
        refused=True,
    ),
    Fault(
        "`data/data.db`",
        "its first page changed, or cut",
        "data.db is damaged",
        "Nothing.",
        PUT_BACK,
        (_at(DATA, 0), _half(DATA)),
        refused=True,
        folded=True,
    ),
    Fault(
        "`keyring/keyring.db`",
        "empty or missing",
        "keyring/ of this home is not there",
        "Nothing, if it is put back. Without it everything is lost for good.",
        PUT_BACK,
        (_empty(KEYS), _missing(KEYS)),
        refused=True,
    ),
    Fault(
        "`keyring/keyring.db`",
        "its first page changed, or cut",
        "keyring.db is damaged",
        "As above.",
        PUT_BACK,
        (_at(KEYS, 0), _half(KEYS)),
        refused=True,
        folded=True,
    ),
    # Rows that decide
    Fault(
        "a row of `sessions`",
        "a byte changed",
        UNSOUND,
        "That session is shown to nobody.",
        RESTORE,
        _row(DATA, "sessions", -30, 9, 60),
        loses=frozenset({BOBS}),
        folded=True,
    ),
    Fault(
        "a row of `holds`",
        "a byte changed",
        UNSOUND,
        "Nothing: it holds.",
        "Look, and release it if it is to be.",
        _row(DATA, "holds", -3, 40),
        folded=True,
        loses=frozenset({"hold"}),
    ),
    Fault(
        "a row of `erasures`",
        "a byte changed",
        UNSOUND,
        "The receipt of that erasure; what was erased stays so.",
        RESTORE,
        _row(DATA, "erasures", -3, 9),
        folded=True,
    ),
    Fault(
        "a row of `receipts`",
        "a byte changed",
        UNSOUND,
        "That receipt.",
        RESTORE,
        _row(DATA, "receipts", -3, 9),
        folded=True,
    ),
    Fault(
        "a row of `retention_moves`",
        "a byte changed",
        UNSOUND,
        "Nothing: the choice is moved anew.",
        "Nothing.",
        _row(DATA, "retention_moves", 9),
        folded=True,
    ),
    Fault(
        "a row of `accounts`",
        "a byte changed",
        UNSOUND,
        "Its keys let nobody in, and its sessions are not trained on.",
        RESTORE,
        _row(DATA, "accounts", -3, 9),
        folded=True,
        loses=PEOPLE,
    ),
    Fault(
        "a row of `persons`",
        "a byte changed",
        UNSOUND,
        "They sign in nowhere, and are in no list.",
        RESTORE,
        _row(DATA, "persons", -3, 9),
        folded=True,
        loses=PEOPLE,
    ),
    Fault(
        "a row of `api_keys`",
        "a byte changed",
        UNSOUND,
        "That key lets nobody in.",
        "Make another.",
        _row(DATA, "api_keys", -3, 9),
        folded=True,
        loses=PEOPLE,
    ),
    Fault(
        "a row of `consent_records`",
        "a byte changed",
        UNSOUND,
        "The proof of that choice; the choice holds.",
        RESTORE,
        _row(DATA, "consent_records", -3, 9),
        folded=True,
    ),
    Fault(
        "a row of `feedback_reports`",
        "a byte changed",
        UNSOUND,
        "That report.",
        RESTORE,
        _row(DATA, "feedback_reports", 9),
        folded=True,
        loses=frozenset({"report"}),
    ),
    Fault(
        "a row of `tombstones`",
        "a byte changed",
        UNSOUND,
        "Nothing: it holds.",
        "Nothing.",
        _row(DATA, "tombstones", -3, 3, 30),
        folded=True,
    ),
    Fault(
        "a row of `spool_positions`",
        "a byte changed",
        UNSOUND,
        "Nothing: the index says what is filed.",
        "Nothing.",
        _row(DATA, "spool_positions", 0, 20),
        folded=True,
    ),
    Fault(
        "an entry of the audit record",
        "a byte changed",
        "audit entry",
        "That entry; what it is of holds.",
        RESTORE,
        _row(DATA, "audit", -3, 2, which="number = 9"),
        folded=True,
    ),
    Fault(
        "a row of `exchanges`",
        "a byte changed",
        UNSOUND,
        "That session is shown to nobody.",
        RESTORE,
        _row(DATA, "exchanges", -3, 9, 100),
        folded=True,
        loses=frozenset({BOBS}),
    ),
    Fault(
        "a row of `stored`",
        "a byte changed",
        "",
        "Nothing: the sums are counted anew.",
        "Nothing.",
        _row(DATA, "stored", -3),
        folded=True,
    ),
    Fault(
        "a row of `session_facts`",
        "a byte changed",
        "sums of sessions",
        "Nothing: the sums are made anew.",
        "Nothing.",
        _row(DATA, "session_facts", -3),
        folded=True,
    ),
    # Rows without a check of their own
    Fault(
        "a row of `segments`",
        "a byte changed",
        f"session {BOBS}, exchange 0",
        "The sessions in that segment.",
        RESTORE,
        _row(DATA, "segments", 9),
        folded=True,
        loses=SEALED,
    ),
    Fault(
        "a row of `telemetry_files`",
        "a byte changed",
        "SQLite finds",
        "The figures of those days: they are refused.",
        RESTORE,
        _row(DATA, "telemetry_files", -40, 3),
        folded=True,
        loses=METRICS,
    ),
    Fault(
        "a row of `persons`",
        "a byte changed",
        "SQLite finds",
        "Who that is.",
        RESTORE,
        _row(DATA, "persons", -3),
        folded=True,
        loses=PEOPLE,
    ),
    Fault(
        "the structure of a page",
        "a byte changed, in `sessions`",
        "can't be read or written",
        "The list, until it is restored.",
        SALVAGE,
        _before_row(DATA, "sessions"),
        folded=True,
        loses=frozenset({BOBS, SHIPPED, *OPEN, UNSEALED, "hold", "list"}),
    ),
    Fault(
        "the structure of a page",
        "a byte changed, in `receipts`",
        "can't be read or written",
        "Nothing, where the start reads that page: it is refused. Else the receipts of that page, "
        "until it is restored.",
        SALVAGE,
        _before_row(DATA, "receipts"),
        refused=None,
        folded=True,
        or_said="the row is not what was written",
    ),
    Fault(
        "the structure of a page",
        "a byte changed, in `api_keys`",
        "can't be read or written",
        "Nothing.",
        SALVAGE,
        _before_row(DATA, "api_keys"),
        refused=True,
        folded=True,
    ),
    # Keys
    Fault(
        "the key of a session",
        "a byte changed",
        f"key session:{BOBS}: it does not open.",
        "That session. Its next turn begins a new one.",
        RESTORE,
        _row(KEYS, "deks", 40, which=f"subject = 'session:{BOBS}'"),
        folded=True,
        loses=frozenset({BOBS}),
    ),
    Fault(
        "the key of a person",
        "a byte changed",
        "it does not open.",
        "Who that is, until it is restored.",
        RESTORE,
        _row(KEYS, "deks", 40, which="subject LIKE 'per_%'"),
        folded=True,
        loses=PEOPLE,
    ),
    Fault(
        "the key of a person",
        "under which KEK it is, changed",
        "it does not open.",
        "Who that is, until it is restored. It does not count as erased.",
        RESTORE,
        _row(KEYS, "deks", 5, which="subject LIKE 'per_%'"),
        folded=True,
        loses=PEOPLE,
    ),
    Fault(
        "the key of a day's telemetry",
        "a byte changed",
        "it does not open.",
        "The figures of that day.",
        RESTORE,
        _row(KEYS, "deks", 40, which="subject LIKE 'metric:%'"),
        folded=True,
        loses=METRICS,
    ),
    Fault(
        "the key of a report",
        "a byte changed",
        "it does not open.",
        "That report.",
        RESTORE,
        _row(KEYS, "deks", 40, which="subject LIKE 'report:%' OR subject LIKE 'feedback:%'"),
        folded=True,
        loses=frozenset({"report"}),
    ),
    Fault(
        "the key of an epoch (`keks`)",
        "a byte changed",
        "nor do the",
        "What is under it.",
        RESTORE,
        _row(KEYS, "keks", 40, which="data_class = 'transcript' AND current"),
        folded=True,
        loses=frozenset({BOBS, SHIPPED, *OPEN, UNSEALED}),
    ),
    Fault(
        "a secret of the keyring",
        "a byte changed",
        "of the keyring does not open",
        "Nothing.",
        PUT_BACK,
        _row(KEYS, "secrets", 9, which="name = 'data/rows'"),
        refused=True,
        folded=True,
    ),
    # What a kill leaves
    Fault(
        "`data.db-wal`",
        "a byte changed",
        "of data/ is damaged",
        "What was written since that place: perhaps a choice, a hold, a deletion.",
        "Put back what was there last, or accept the older data.",
        (
            _at("data/data.db-wal", 0),
            _at("data/data.db-wal", 0.01),
            _at("data/data.db-wal", 0.5),
            _in_log("data/data.db-wal", b"another"),
            _in_log("data/data.db-wal", b"refused"),
        ),
        refused=True,
    ),
    Fault(
        "`data.db-wal`",
        "cut, empty or missing",
        "data/ is older",
        "As above.",
        "As above.",
        (_half("data/data.db-wal"), _empty("data/data.db-wal"), _missing("data/data.db-wal")),
        refused=True,
    ),
    Fault(
        "`keyring.db-wal`",
        "a byte changed",
        "of keyring/ is damaged",
        "Keys that were made since that place.",
        "Put back what was there last, or accept the older keyring.",
        (
            _at("keyring/keyring.db-wal", 0),
            _at("keyring/keyring.db-wal", 0.5),
            _in_log("keyring/keyring.db-wal", b"held:"),
        ),
        refused=True,
    ),
    Fault(
        "`keyring.db-wal`",
        "cut, empty or missing",
        "keyring/ is older",
        "As above.",
        "As above.",
        (
            _half("keyring/keyring.db-wal"),
            _empty("keyring/keyring.db-wal"),
            _missing("keyring/keyring.db-wal"),
        ),
        refused=True,
    ),
    # Content
    Fault(
        "an open segment",
        "a byte changed, or cut",
        "does not authenticate",
        "The sessions in it at that place.",
        RESTORE,
        (_at(OPEN_SEGMENT, 0), _at(OPEN_SEGMENT, 0.5), _half(OPEN_SEGMENT)),
        loses=OPEN,
    ),
    Fault(
        "an open segment",
        "empty or missing",
        "exchange 0",
        "The sessions in it.",
        RESTORE,
        (_empty(OPEN_SEGMENT), _missing(OPEN_SEGMENT)),
        loses=OPEN,
    ),
    Fault(
        "a shipped segment",
        "a byte changed, cut, empty or missing",
        "exchange",
        "The sessions in it at that place.",
        RESTORE,
        (_at(SEGMENT, 0), _at(SEGMENT, 0.5), _half(SEGMENT), _empty(SEGMENT), _missing(SEGMENT)),
        loses=SEALED,
    ),
    Fault(
        "a spool file",
        "a byte changed, cut, or empty",
        "bytes of the spool that do not open",
        "The exchanges at that place; their bytes are put aside.",
        RESTORE,
        (*_begin_middle_end(SPOOL), _half(SPOOL), _empty(SPOOL)),
        loses=frozenset({UNSEALED}),
    ),
    Fault(
        "a spool file",
        "missing",
        "it is not there, though its key is",
        "What was in it and not filed yet.",
        RESTORE,
        (_missing(SPOOL),),
        loses=frozenset({UNSEALED}),
    ),
    Fault(
        "a file of telemetry's journal",
        "a byte changed",
        "of its journal did not open",
        "The figures at that place.",
        "Nothing.",
        _begin_middle_end(JOURNAL),
        loses=METRICS,
    ),
    Fault(
        "a file of telemetry's journal",
        "empty or missing",
        "",
        "Figures of the last minutes: nothing says how many there were.",
        "Nothing.",
        (_empty(JOURNAL), _missing(JOURNAL)),
        loses=METRICS,
    ),
    Fault(
        "a day's telemetry",
        "a byte changed, cut, empty or missing",
        "telemetry metric~",
        "The figures of that day: they are refused.",
        RESTORE,
        (*_begin_middle_end(DAYS), _half(DAYS), _empty(DAYS), _missing(DAYS)),
        loses=METRICS,
    ),
    Fault(
        "a report",
        "a byte changed, cut, empty or missing",
        "report fb_",
        "That report.",
        RESTORE,
        (_at(REPORT, 0.5), _half(REPORT), _empty(REPORT), _missing(REPORT)),
        loses=frozenset({"report"}),
    ),
    Fault(
        "a file of the log (`ledger/`)",
        "a byte changed, cut, empty or missing",
        "ledger/",
        "Nothing of the home: who reads the log is refused that part.",
        "Put it back from a copy of `ledger/`.",
        (
            *_begin_middle_end("ledger/tile/entries/*/*"),
            _at("ledger/tile/0/*/*", 0.5),
            _half("ledger/tile/entries/*/*"),
            _empty("ledger/tile/0/*/*"),
            _missing("ledger/tile/entries/*/*"),
            _at("ledger/history/*/*", 0.5),
        ),
    ),
    # Folders
    *(
        Fault(
            f"the folder `{name}`",
            "missing, or of another home",
            said,
            "Nothing.",
            "Mount it, or put back the right one.",
            (_gone(name), _swapped(name)),
            refused=True,
        )
        for name, said in (
            ("data", "data/"),
            ("keyring", "keyring/"),
            ("root", "root"),
            ("vault", "vault/"),
            ("vault/open", "open segments are missing"),
        )
    ),
    Fault(
        "the folder `vault/segments`",
        "missing, or of another home",
        "exchange 0",
        "What was shipped, until it is put back.",
        PUT_BACK,
        (_gone("vault/segments"), _swapped("vault/segments")),
        loses=SEALED,
    ),
    Fault(
        "the folder `vault/spool`",
        "missing, or of another home",
        "it is not there, though its key is",
        "What was not filed yet.",
        PUT_BACK,
        (_gone("vault/spool"), _swapped("vault/spool")),
        loses=frozenset({UNSEALED}),
    ),
    Fault(
        "the folder `vault/reports`",
        "missing, or of another home",
        "report fb_",
        "The reports, until it is put back.",
        PUT_BACK,
        (_gone("vault/reports"), _swapped("vault/reports")),
        loses=frozenset({"report"}),
    ),
    Fault(
        "the folder `vault/telemetry`",
        "missing, or of another home",
        "telemetry metric~",
        "The figures, until it is put back.",
        PUT_BACK,
        (_gone("vault/telemetry"), _swapped("vault/telemetry")),
        loses=METRICS,
    ),
)
