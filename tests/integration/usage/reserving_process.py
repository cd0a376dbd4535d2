"""Reserves and settles until it is refused 25 times: `reserving_process.py DATABASE NAME KEY`.

It says `ready` when it has reserved once, waits for a line, and says in the end how many went on.
"""

from __future__ import annotations

import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bailee.db.checks import use_key
from bailee.db.engine import open_sqlite
from bailee.usage.limits import Scope, Subject, Used, WantedUse
from bailee.usage.reserving import ReserveUse, Settle, UsageReservations

path, name, key = Path(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3])
engine = open_sqlite(path)
use_key(engine, key)
store = UsageReservations(engine, lambda *_: Used(), name)
now = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
random.seed(name)
first = ReserveUse(f"{name}-0", [Subject(Scope.PERSON, "per_1")], WantedUse(10, 1000))
assert store.work([first], now)[first.request_id].over is None
print("ready", flush=True)
sys.stdin.readline()
under_way, admitted, refused, number = [first.request_id], 1, 0, 0
while refused < 25:
    number += 1
    time.sleep(random.random() / 200)  # the upstream's time
    wants = ReserveUse(f"{name}-{number}", [Subject(Scope.PERSON, "per_1")], WantedUse(10, 1000))
    ends = [Settle(one, 7, 700) for one in under_way if random.random() < 0.3]
    found = store.work([*ends, wants], now)[wants.request_id]
    gone = {one.request_id for one in ends}
    under_way = [one for one in under_way if one not in gone]
    if found.over is None:
        admitted += 1
        under_way.append(wants.request_id)
    elif not found.over.waits:
        refused += 1
store.work([Settle(one, 7, 700) for one in under_way], now)
print(admitted)
