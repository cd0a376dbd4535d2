"""Recording what a process answers beside the one that has the home: its spool, made over what its
`HomeReader` and its settings say.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from bailee.config import Settings
from bailee.errors import InputError
from bailee.node import databases, objects, spooling
from bailee.node.reader import HomeReader
from bailee.vault.member_spool import MemberSpool


def open_member_spool(
    reader: HomeReader,
    settings: Settings,
    role: str,
    environment: Mapping[str, str] = os.environ,
) -> MemberSpool:
    """The spool of a process whose role is `role`, which has joined, or will once it can. Whoever
    opens it closes it, before the reader.

    Raises:
        InputError: code `configuration`: what is answered is not to be durable in the database.
        IntegrityError: code `home_parts`: the bucket is another home's; or the root is.
        StorageError: the bucket can't be reached.
    """
    if not spooling.is_in_database(settings):
        raise InputError(
            f"{spooling.SETTING} is not {spooling.DATABASE}: what is answered here would lie on "
            "a disk that the home's server does not read.",
            code="configuration",
            hint=f"set {spooling.SETTING} = {spooling.DATABASE}, here and where the server is",
        )
    kept = objects.spool_beside(settings, environment, reader.home_id)
    return MemberSpool(partial(databases.connect_member, settings), reader.root, kept, role)
