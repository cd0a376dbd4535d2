"""A process that is forked for a test is what a person's shell would start."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from pathlib import Path

import pytest

from bailee.gateway.taking_apart import COMMAND
from bailee.testing.upstream import ScriptedUpstream
from support.clients import processes
from support.clients.programs import Bailee, clean_environment, message

SHOWN = """
import json, os, sys
links = {int(fd): os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
         if os.path.lexists(f"/proc/self/fd/{fd}")}
print(json.dumps({"environment": dict(os.environ), "folder": os.getcwd(), "arguments": sys.argv[1:],
                  "open": sorted(links), "given": sys.stdin.read(), "path": sys.path[0]}))
sys.exit(int(sys.argv[1]))
"""

ENDS = """
import atexit, sys, threading

def last():
    threading.main_thread().join()  # the program is over, and this is waited for
    print("of a thread")

atexit.register(print, "of what was asked for")
sys.stdout.write("of the program, ")
threading.Thread(target=last).start()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("sessions",),
        ("--nope",),
        ("hold", "list"),
        ("policy", "show"),
        ("config", "list", "--json"),
    ],
    ids=" ".join,
)
def test_a_command_says_the_same(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Status, output and errors are those of one that has imported for itself."""
    env = clean_environment(tmp_path, BAILEE_HOME=str(tmp_path / "none"))
    forked, fresh = (
        processes.start(*arguments, env=env, folder=tmp_path, fresh=fresh)
        for fresh in (False, True)
    )

    assert fresh.communicate() == forked.communicate()
    assert fresh.returncode == forked.returncode
    assert isinstance(forked, processes.Forked)


def test_it_has_what_it_was_given_and_nothing_else(tmp_path: Path) -> None:
    """Environment, folder, arguments, input, exit status; and no file that is somebody else's."""
    program = tmp_path / "shown.py"
    program.write_text(SHOWN)
    env = clean_environment(tmp_path, PEAR="tree")
    other = processes.start("0", env=env, program=program, given=True)  # it is there meanwhile
    done = processes.run("7", "x y", env=env, folder=tmp_path, program=program, given="quince")
    other.communicate()

    assert (7, "") == (done.returncode, done.stderr)
    shown = json.loads(done.stdout)
    assert [0, 1, 2] == shown["open"][:3] and len(shown["open"]) <= 4  # and the folder it lists
    assert env == shown["environment"]
    assert (str(tmp_path), ["7", "x y"], "quince", str(tmp_path)) == (
        shown["folder"], shown["arguments"], shown["given"], shown["path"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("", 0),
        ("sys.exit()", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('no pears')", 1),
        ("raise ValueError('no pears')", 1),
        ("sys.stdout.close()", 0),
    ],
)
def test_it_ends_as_python_does(tmp_path: Path, end: str, status: int) -> None:
    """Its status, and all that it and its threads had to say, however it is over."""
    program = tmp_path / "ends.py"
    said = "" if "close" in end else ENDS
    program.write_text(f"import sys\n{said}\n{end}\n")
    forked, fresh = (
        processes.start(env=clean_environment(tmp_path), program=program, fresh=fresh)
        for fresh in (False, True)
    )
    (out, errors), (fresh_out, fresh_errors) = forked.communicate(), fresh.communicate()

    assert (status, status) == (forked.returncode, fresh.returncode)
    assert fresh_out == out
    assert not said or ["of the program, of a thread", "of what was asked for"] == out.splitlines()
    assert fresh_errors.splitlines()[-1:] == errors.splitlines()[-1:]


@pytest.mark.parametrize("fresh", [False, True])
def test_a_terminal_controls_it(tmp_path: Path, fresh: bool) -> None:
    """Its input, output and error are the terminal, which it leads a session at."""
    program = tmp_path / "shown.py"
    program.write_text(
        "import os\nprint(*map(os.ttyname, range(3)), os.tcgetpgrp(0) - os.getpid())"
    )
    ours, theirs = os.openpty()
    place = os.ttyname(theirs)
    process = processes.start(
        env=clean_environment(tmp_path), program=program, terminal=theirs, fresh=fresh
    )
    os.close(theirs)

    assert f"{place} {place} {place} 0" == os.read(ours, 1000).decode().strip()
    assert 0 == process.wait()
    os.close(ours)


def test_a_signal_ends_it_and_is_told(tmp_path: Path) -> None:
    """Killed, its status is the signal's, and what it had said is there."""
    program = tmp_path / "waits.py"
    program.write_text("import time\nprint('here', flush=True)\ntime.sleep(1000)\n")
    process = processes.start(env=clean_environment(tmp_path), program=program)
    assert process.stdout is not None
    assert ("here\n", None) == (process.stdout.readline(), process.poll())
    process.kill()

    assert ("", "") == process.communicate()
    assert -signal.SIGKILL == process.wait()


def test_what_decides_how_python_starts_is_no_fork_s(tmp_path: Path) -> None:
    """With an option of Python's own it is started anew."""
    env = clean_environment(tmp_path, PYTHONUTF8="1")
    process = processes.start("--version", env=env)

    assert process.communicate()[0].startswith("bailee ")
    assert sys.executable == process.args[0]  # type: ignore[index]
    assert not isinstance(process, processes.Forked)


def test_what_takes_exchanges_apart_is_forked_beside_a_server_once(tmp_path: Path) -> None:
    """It has the server's socket alone and gives way, as one that is started; killed, another is
    started. It ends with its server, however that ends.
    """
    bailee = Bailee(tmp_path)
    with ScriptedUpstream(tools_only=False) as upstream:
        try:
            pid = bailee.up("--upstream", upstream.url)["pid"]
            message(bailee.ready, "one")
            assert 1 == len(bailee.sessions())
            (beside,) = _children(pid)
            streams = [Path(f"/proc/{beside}/fd/{number}").readlink() for number in range(3)]
            assert streams[0].name.startswith("socket:")
            assert [Path(os.devnull)] * 2 == streams[1:]
            others = {one.readlink().name for one in Path(f"/proc/{beside}/fd").iterdir()}
            assert {"null"} == {one for one in others if not one.startswith("socket:")}
            assert 2 == len(others), "of sockets there is one, which it has twice"
            own = os.getpriority(os.PRIO_PROCESS, pid)
            assert min(own + 5, 19) == os.getpriority(os.PRIO_PROCESS, beside)

            os.kill(beside, signal.SIGKILL)
            message(bailee.ready, "two")
            assert 2 == len(bailee.sessions(2))
            (started,) = _children(pid)
            words = Path(f"/proc/{started}/cmdline").read_bytes().split(b"\0")
            assert list(COMMAND) == [one.decode() for one in words[:-1]]
        finally:
            bailee.close()

        again = bailee.up("--upstream", upstream.url)["pid"]
        (beside,) = _children(again)
        ended = os.pidfd_open(beside)
        try:
            bailee.close()
            assert select.select([ended], [], [], 60)[0]
        finally:
            os.close(ended)


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(one) for path in found for one in path.read_text().split()]


def test_its_limits_are_those_of_who_asked(tmp_path: Path) -> None:
    """What the process that forks has served before is no longer seen in it."""
    program = tmp_path / "limits.py"
    program.write_text(
        "import os, resource, sys, threading\n"
        "names = sorted(one for one in dir(resource) if one.startswith('RLIMIT_'))\n"
        "print([resource.getrlimit(getattr(resource, one)) for one in names])\n"
        "print(sys.getswitchinterval(), threading.active_count())\n"
        "print(len(os.listdir('/proc/self/task')))\n"
        "print(oct(os.umask(0)))\n"
    )
    forked, fresh = (
        processes.start(env=clean_environment(tmp_path), program=program, fresh=fresh)
        for fresh in (False, True)
    )

    assert fresh.communicate() == forked.communicate()
