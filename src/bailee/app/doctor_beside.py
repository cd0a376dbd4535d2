"""Whether a gateway of its own would start here, and record: a check of `app.doctor`, for a machine
without a home, whose settings name the server's gateway (`holder.url`).

Rows: O5, O6.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from bailee.app.doctor_findings import ExaminedHome, Fitness, MachineFinding
from bailee.app.gateway_role import check_settings
from bailee.app.to_holder import SETTING as HOLDER
from bailee.db.members import are_let
from bailee.home.parts import id_of
from bailee.node import objects
from bailee.node.reader import HomeReader


def is_gateways(it: ExaminedHome) -> bool:
    """Whether this is such a machine."""
    return it.settings.text(HOLDER) is not None and id_of(it.home) is None


def gateway(it: ExaminedHome) -> Iterator[MachineFinding]:
    """What would end it at its start is an error; that it would wait, a doubt."""
    if not is_gateways(it):
        return
    check_settings(it.settings, it.home)
    opened = HomeReader(it.home, settings=it.settings, environment=it.environment)
    with closing(opened) as reader:
        objects.spool_beside(it.settings, it.environment, reader.home_id)
        let = are_let(reader.data) and are_let(reader.keys)
    if let:
        yield MachineFinding("gateway", Fitness.WELL, "gateway_starts")
    else:
        yield MachineFinding("gateway", Fitness.DOUBT, "gateway_waits", "gateway_server")
