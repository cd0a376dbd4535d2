"""What the receipt of an erasure says. Pure.

It says what was done, from what is on record, and what is left, from a search made when it was
done: where, of what kind, how much; for each whether it is left on purpose, why and until when. It
says nothing that the search does not show, and what the search could not see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypedDict

from bailee.home.searching import Finding, Search, Trace
from bailee.node.traces import OURS, SAID, SESSION, TOO_SHORT

TYPE: Final = "bailee/erasure/2"

_BACKUPS: Final = (
    "Copies of the data from before open no session, no report and nothing that was sealed for "
    "them. They show, in the clear: ids, times, sizes and counts; of an account that no person "
    "has, its name and those of its keys; owners and hosts of Git connections and network lists; "
    "reasons of legal holds. Copies of the keyring open nothing after the next rotation of the "
    "root, {root} at most while the server runs; snapshots of keys that a backup takes until they "
    "end, {snapshots}; copies of keyring and root together are in the operator's hands."
)
_BACKUPS_THERE: Final = (
    "The databases are on PostgreSQL, where what was deleted is still in pages and in the "
    "write-ahead log for a time, and in whatever was copied from them. That opens no session, no "
    "report and nothing that was sealed for them, since the root that wrapped their keys has been "
    "replaced; what it shows in the clear is what copies of the data show. "
)
NO_PAGES: Final = (
    " The databases are on PostgreSQL: their rows were searched, and not what is deleted of them "
    "and lies in its pages, its write-ahead log and copies of both."
)
NO_BUCKET: Final = (
    " Sealed sessions and reports are in a bucket, which was not searched: all that it has is "
    "encrypted."
)
UNSEEN: Final = (
    "What is encrypted, compressed or in base64 was not looked into: others may have written about "
    "them in sessions and reports of their own. Segments, which are encrypted, were read where "
    "the index says that something of theirs was there. Nothing outside of the home was searched."
)

_ALWAYS: Final = "always"


class KeysOpen(NamedTuple):
    """For how long copies of keys open what was destroyed, in words: those under an older `root`,
    and a backup's `snapshots` (None: each as long as it was taken for).
    """

    root: str
    snapshots: str | None


def backups(keys: KeysOpen, *, here: bool) -> str:
    """What copies of the data and the keys from before still show. `here`: the databases are in the
    home, and not on PostgreSQL.
    """
    most = keys.snapshots
    snapshots = "each at the time it was taken for" if most is None else f"{most} at most"
    said = _BACKUPS.format(root=keys.root, snapshots=snapshots)
    return said if here else _BACKUPS_THERE + said


class Said(TypedDict, total=False):
    """A part of a receipt, as JSON has it: what stays, why, and until when."""

    where: str
    what: str
    count: int
    organisation: str
    why: str
    until: str


UNKNOWN: Final = "unknown"
CHANCE: Final = "not left on purpose: it is somebody else's, or a defect; the operator should look"
_WHY: Final[Mapping[str, tuple[str, str]]] = {
    "audit": ("an entry proves what was done; it names ids", _ALWAYS),
    "consent_records": ("it proves what was chosen; it names an account and who chose", _ALWAYS),
    "receipts": ("it proves what was destroyed; it names it by its id", _ALWAYS),
    "erasures": ("this erasure", _ALWAYS),
    "bailee_changes": ("which rows changed last, for processes beside", "4096 more changes"),
    "persons": ("an empty row, so that consent records are of someone", _ALWAYS),
    "accounts": ("an empty row, so that consent records are of someone", _ALWAYS),
    "api_keys": ("a revoked key without a name, so that it stays revoked", _ALWAYS),
    "cloud_sessions": ("that a session ran and when; nothing of what was asked or done", _ALWAYS),
    "retention_moves": ("that a choice was followed; it names an account", _ALWAYS),
    "holds": ("that a session was held", _ALWAYS),
    "person_requests": ("that they asked; it led to this erasure", "the time of its clause"),
    "training_sessions": ("it tells which datasets have rows to be dropped", _ALWAYS),
    **dict.fromkeys(
        (
            *("sessions", "kept_sessions", "exchanges", "conversation_links"),
            *("session_words", "session_facts"),
            *("feedback_reports", "cloud_holdings", "cloud_pieces"),
        ),
        ("a legal hold", "the last hold is released"),
    ),
}
_BESIDE: Final = (
    "a copy from another day; it is an id, which leads to nobody, and a restore does the erasure "
    "again",
    "the copy goes",
)
_REASON: Final = ("a legal hold needs its reason", "the hold is released")
_SETTINGS: Final = ("settings, written by who runs the service", "they change them")


def searched(
    search: Search | None,
    traces: Sequence[Trace],
    known: bool,
    *,
    pages: bool = True,
    bucket: bool = False,
) -> dict[str, object]:
    """What was looked for and where. `search`: None, it failed. `known`: whether their words were
    known then. `pages`: whether databases were searched beyond their rows. `bucket`: whether
    segments and reports are in one.
    """
    kinds = Counter(trace.what for trace in traces)
    short = kinds.pop(TOO_SHORT, 0)
    said: dict[str, object] = {"looked_for": [{"what": w, "count": n} for w, n in kinds.items()]}
    if short:
        said["too_short_to_look_for"] = short
    if not known:
        said["ids_only"] = "what named them was not known any more, so ids alone were looked for"
    if search is None:
        return said | {"failed": "the home could not be searched; nothing is said of what is left"}
    said |= {"files": search.files, "bytes": search.bytes, "databases": search.databases}
    if search.left_out:
        said["not_searched"] = {"files": search.left_out, "bytes": search.left_out_bytes}
    if search.others:
        said["others_segments"] = {"files": search.others, "bytes": search.others_bytes}
    further = ("" if pages else NO_PAGES) + (NO_BUCKET if bucket else "")
    return said | {"unseen": UNSEEN + further}


def identifiers(search: Search | None, known: bool, *, pages: bool = True) -> str:
    """What became of what named them, in words."""
    if search is None or not known:
        return "removed, and their key destroyed"
    if any(is_word(finding) for finding in search.findings):
        return "removed, and their key destroyed; what the search still found is listed"
    if search.left_out or not pages:
        return "removed, and their key destroyed; none was found in what was searched"
    return "removed, and their key destroyed; none was found"


def is_word(finding: Finding) -> bool:
    """Whether what was found names them, or leads to them outside of bailee."""
    return finding.what not in (OURS, SESSION)


def left(search: Search | None, *, beside: bool = False) -> Iterable[Said]:
    """What was found, each with the reason why it is there. `beside`: not in the home, but in a
    folder with copies, where tables are as they were on another day.
    """
    for finding in () if search is None else search.findings:
        why, until = _BESIDE if beside and not is_word(finding) else _why(finding)
        yield {
            "what": finding.what,
            "where": f"{finding.where} {finding.column}".strip(),
            "count": finding.count,
            "why": why,
            "until": until,
        }


def organisations_sessions(count: int, whose: str) -> Said:
    """Sessions that were had with a key of an organisation's, whose id it is."""
    return {
        "what": f"{count} sessions of the organisation {whose}",
        "organisation": whose,
        "count": count,
        "why": "they are the organisation's, and its admins say what becomes of them",
        "until": "they expire, or the organisation deletes them",
    }


def requests(count: int, clause: str) -> Said:
    """Their requests about their own data."""
    return {
        "what": f"that they asked: {count} requests, each with its reference, its days, and a "
        "digest of the email by which they find it again",
        "count": count,
        "why": f"it shows how they were answered ({clause}); what names them in an open one is "
        "sealed under its own key, which is destroyed once it is answered",
        "until": "the time of the clause has passed since the answer",
    }


def shared_segments(count: int) -> Said:
    """Files that have ciphertext of theirs beside what is kept of others."""
    return {
        "what": f"ciphertext that no key opens, in files of records: {count}",
        "count": count,
        "why": "records that are kept lie in the same files",
        "until": "the last of those goes",
    }


def held(what: str, subject: str, data_class: str) -> Said:
    """A thing whose destruction waits."""
    return {
        "what": f"{what} {subject} ({data_class}), unreadable but for the matter",
        "why": "a legal hold; it is destroyed when the last hold is released",
        "until": "the last hold is released",
    }


def _why(finding: Finding) -> tuple[str, str]:
    table, _, column = finding.column.partition(".")
    if finding.column == "sessions.key_id":
        return "a session of an organisation, which is its own; it names a key", "the session goes"
    if not is_word(finding):
        return _WHY.get(table, ("it names an id, which leads to nobody", _ALWAYS))
    if finding.where == "bailee.toml":
        return _SETTINGS
    if (table, column, finding.what) == ("holds", "reason", SAID):
        return _REASON
    return CHANCE, UNKNOWN
