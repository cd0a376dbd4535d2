"""A whole server is cut off from its databases, and another takes its place, revokes a key
and deletes a session: for a network of its own, which the process that starts this makes.

The first reaches the databases at an address to which the way is taken; all else stays. What was
seen is said at the end, as JSON.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import urllib.error
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from bailee.db.fencing import TABLE
from bailee.testing.upstream import ScriptedUpstream, Text
from faults.test_clock_of_a_server import until
from support.clients.programs import Bailee, message
from support.documents import edited
from support.homes.set_time import SetTime
from support.servers.postgres import PostgresServer

FAR = "127.0.0.2"


def way(how: str) -> None:
    """Take the way to the databases, or give it back."""
    subprocess.run(["ip", "route", how, "blackhole", FAR, "table", "local"], check=True)


def answer(ready: dict[str, Any], key: str) -> int:
    """The status of one exchange."""
    try:
        message(ready, "hello", key)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return 200


def main(folder: Path, server: PostgresServer, closing: ExitStack) -> dict[str, object]:
    """What was seen."""
    upstream = closing.enter_context(ScriptedUpstream(tools_only=False, after=Text("ok")))
    machines = []
    for name in ("first", "second"):
        (folder / name).mkdir()
        machines.append(Bailee(folder / name))
        closing.callback(machines[-1].close)
    first, second = machines
    document = folder / "ours.toml"
    document.write_text(edited(("kept = 60, unkept = 60", "kept = 10, unkept = 600")))
    near = {"BAILEE_DATABASE_URL": server.new(), "BAILEE_KEYRING_DATABASE_URL": server.new()}
    far = {name: address.replace("127.0.0.1", FAR) for name, address in near.items()}
    time = SetTime(folder)
    first.declare(upstream.url)  # else it gets nothing of a key with zero retention
    ready = first.up(env={**far, **time.environment, "BAILEE_POLICY_DOCUMENT": str(document)})
    kept = first.json("key", "create", "--plan", "pro", "--name", "kept")
    forgets = ("key", "create", "--plan", "api", "--zero-retention", "--name", "unkept")
    unkept = first.json(*forgets)["key"]
    seen: dict[str, object] = {"before": answer(ready, kept["key"])}
    (session,) = first.sessions(1)
    show = ("sessions", "show", session["id"])
    assert "hello" in first.run(*show).stdout
    message(ready, "quince", kept["key"])
    first.sessions(2)

    way("add")
    shutil.copytree(first.home, second.home, ignore=shutil.ignore_patterns("*.sock"))
    for address in near.values():  # nobody waits for half a minute
        past = f"UPDATE {TABLE} SET until = clock_timestamp() - interval '1 second'"
        server.do(past, at=address.rpartition("/")[2])
    later = second.up(env=near)
    assert 0 == second.run("key", "revoke", kept["key_id"]).returncode
    assert 0 == second.run("sessions", "delete", session["id"]).returncode
    seen["at the other"] = answer(later, kept["key"])
    seen["at once"] = [answer(ready, key) for key in (kept["key"], unkept)]
    shown = first.run(*show)
    seen["deleted"] = [shown.returncode, "hello" in shown.stdout + shown.stderr]
    time.sleep(600)
    seen["after ten minutes"] = [answer(ready, key) for key in (kept["key"], unkept)]
    time.sleep(36_000)
    seen["after ten hours"] = [answer(ready, key) for key in (kept["key"], unkept)]

    way("del")
    status, said = first.end(signal.SIGCONT)  # it ends by itself
    seen["ended"] = [status, "another process has taken this home over" in said]
    until(lambda: 1 == len(second.sessions(1)))
    seen["verified"] = second.run("verify").returncode
    second.end()
    return seen


if __name__ == "__main__":
    assert sys.argv[1] != str(Path("/proc/self/ns/net").readlink()), "this is everybody's network"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with ExitStack() as stack:
        running = PostgresServer(("-h", f"127.0.0.1,{FAR}"))
        stack.callback(running.end)
        found = main(Path.cwd(), running, stack)
    print(json.dumps(found))
