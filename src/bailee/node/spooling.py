"""Where what a gateway has answered is durable before its client sees the end of it: on the disk of
this machine, or in the database on PostgreSQL, as the operator says.

Rules kept here:

* `database` is refused where it would not hold: where the databases are files of this machine, and
  where what is filed lies in a folder of it.
* A home whose vault's folder is not there is refused, as ever; but where nothing lay in it alone
  (`vault.lasting_rows`), a new one takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Engine

from bailee.config import Settings
from bailee.db.engine import overwrites
from bailee.errors import InputError
from bailee.home.belonging import Part
from bailee.node import databases, objects
from bailee.node.objects import HomeObjects
from bailee.vault.lasting_rows import LastingRows, may_be_without_folder, open_rows

SETTING: Final = "spool.durability"
LOCAL: Final = "local"
DATABASE: Final = "database"


def is_in_database(settings: Settings) -> bool:
    """Whether what is answered is to be durable in the database.

    Raises:
        InputError: code `configuration`: the setting says something else, or what does not go with
            where the databases and objects are.
    """
    said = settings.text(SETTING)
    if said == LOCAL:
        return False
    if said != DATABASE:
        raise InputError(
            f"{SETTING} is neither {LOCAL} nor {DATABASE}.",
            code="configuration",
            hint="leave it out: what is answered is durable on this machine's disk then",
        )
    if not databases.are_elsewhere(settings):
        raise InputError(
            f"{SETTING} is {DATABASE}, and the databases are files of this machine.",
            code="configuration",
            hint="set database.url and keyring.database_url, or leave it out",
        )
    if not objects.are_elsewhere(settings):
        raise InputError(
            f"{SETTING} is {DATABASE}, and sealed sessions lie in a folder of this machine.",
            code="configuration",
            hint=f"set {objects.SETTING} too, or leave it out: they would be lost with the machine",
        )
    return True


def rows_of(data: Engine, settings: Settings, kept: HomeObjects) -> LastingRows | None:
    """What of the vault is in the database, or has been.

    Raises:
        InputError: as `is_in_database`.
        StorageError: the database can't be read or written.
    """
    if overwrites(data):
        return None
    return open_rows(data, kept.spool, writes=is_in_database(settings))


def vault_part(data: Engine, elsewhere: Mapping[str, Part]) -> dict[str, Part]:
    """The vault of a home as the database has it, for one whose folder is not there; nothing, where
    the folder is needed.

    Raises:
        StorageError: the database can't be read.
    """
    part = elsewhere.get("data")
    if part is None or part.mark is None or not may_be_without_folder(data):
        return {}
    return {"vault": replace(part, mark=replace(part.mark, sure=0))}
