"""Whether what keeps a home is there, and would be after a loss: the root key, databases on
PostgreSQL with their standbys, the bucket, the spool, and who else writes there. Checks of
`app.doctor`.

Rows: O5, O6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bailee.app.doctor_findings import ExaminedHome, Fitness, MachineFinding
from bailee.db.members import by_role
from bailee.db.postgresql import has_second_copy, open_postgresql
from bailee.db.standbys import Standbys, standbys
from bailee.home.parts import id_of
from bailee.keyring.roots.opening import driver_of, open_root
from bailee.node import databases, objects, spooling
from bailee.node.databases import are_elsewhere

_BEHIND: Final = 16 << 20  # bytes: a file of the log
_ON_THIS_MACHINE: Final = {"file": "keyring_file", "environment": "keyring_env"}
"""By driver, what is said of it."""


def keyring(it: ExaminedHome) -> Iterator[MachineFinding]:
    """Whether the root can be had, and whether it is lost with this machine."""
    where = it.settings.text("keyring.root") or "file"
    driver = driver_of(where)
    elsewhere = are_elsewhere(it.settings)
    made = it.home.identity_file if elsewhere else it.home.keyring_database
    if made.exists():
        open_root(where, it.home.root_key_file, it.settings, it.environment, may_make=False)
        yield MachineFinding("keyring", Fitness.WELL, "keyring_opens", values={"driver": driver})
    else:
        yield MachineFinding("keyring", Fitness.WELL, "keyring_none", values={"driver": driver})
    if elsewhere and driver in _ON_THIS_MACHINE:
        said = _ON_THIS_MACHINE[driver]
        yield MachineFinding("keyring", Fitness.DOUBT, said, "keyring_elsewhere")


def databases_there(it: ExaminedHome) -> Iterator[MachineFinding]:
    """Whether they answer, and what their standbys have."""
    if not are_elsewhere(it.settings):
        return
    for name in databases.SETTINGS:
        engine = open_postgresql(it.settings.text(name) or "", name)
        try:
            found = standbys(engine)
        finally:
            engine.dispose()
        yield _database(found, name)
        yield from _standbys(found, name)


def _database(found: Standbys, name: str) -> MachineFinding:
    health, said, hint = Fitness.WELL, "standby_none", ""
    if found.waits and not found.connected:
        health, said, hint = Fitness.WRONG, "standby_missing", "standby_back"
    elif found.waits:
        said = "standby_synchronous"
    elif found.connected or found.away:
        health, said, hint = Fitness.DOUBT, "standby_behind", "standby_wait"
    return MachineFinding("databases", health, said, hint, {"name": name})


def _standbys(found: Standbys, name: str) -> Iterator[MachineFinding]:
    values = {"name": name, "behind": found.behind >> 20, "kept": found.kept >> 20}
    doubts = (
        (found.behind > _BEHIND, "standby_lags", "standby_lags_mend"),
        (found.away, "slot_away", "slot_away_mend"),
        (found.lost, "slot_lost", "slot_lost_mend"),
        (found.without_slot, "slot_none", "slot_none_mend"),
    )
    for count, said, hint in doubts:
        if count:
            yield MachineFinding("databases", Fitness.DOUBT, said, hint, values)
    if found.unseen:
        said, hint = "standby_unseen", "standby_unseen_mend"
        yield MachineFinding("databases", Fitness.UNKNOWN, said, hint, values)


def objects_there(it: ExaminedHome) -> Iterator[MachineFinding]:
    """Whether the bucket answers and is this home's, and whether it keeps what is deleted."""
    where = it.settings.text(objects.SETTING)
    if where is None:
        return
    found, values = objects.whose(it.settings, it.environment), {"where": where}
    if found is None and not it.home.objects_file.exists():
        yield MachineFinding("objects", Fitness.WELL, "objects_none", values=values)
    elif found is None or found != id_of(it.home):
        yield MachineFinding("objects", Fitness.WRONG, "objects_other", "objects_name", values)
    else:
        yield MachineFinding("objects", Fitness.WELL, "objects_there", values=values)
        if objects.has_versions(it.settings, it.environment):
            said, hint = "objects_versions", "objects_end_versions"
            yield MachineFinding("objects", Fitness.DOUBT, said, hint, values)


def spool(it: ExaminedHome) -> Iterator[MachineFinding]:
    """Whether what is answered is on more than one server, where it is to outlive this machine."""
    if not spooling.is_in_database(it.settings):
        return
    copied = True
    for name in databases.SETTINGS:
        engine = open_postgresql(it.settings.text(name) or "", name)
        try:
            copied = copied and has_second_copy(engine)
        finally:
            engine.dispose()
    if copied:
        yield MachineFinding("spool", Fitness.WELL, "spool_copied")
    else:
        yield MachineFinding("spool", Fitness.DOUBT, "spool_one_copy", "spool_standby")


def members(it: ExaminedHome) -> Iterator[MachineFinding]:
    """Which processes record beside the server, and whether some are silent whom no server has
    ended.
    """
    if not spooling.is_in_database(it.settings):
        return
    name = databases.SETTINGS[0]
    engine = open_postgresql(it.settings.text(name) or "", name)
    try:
        found = by_role(engine).values()
    finally:
        engine.dispose()
    silent = sum(of.silent for of in found)
    values = {
        "present": sum(of.present for of in found),
        "silent": silent,
        "waiting": sum(of.waiting for of in found) >> 20,
    }
    if silent:
        said, hint = "members_silent", "members_server"
        yield MachineFinding("members", Fitness.DOUBT, said, hint, values)
    else:
        yield MachineFinding("members", Fitness.WELL, "members_there", values=values)
