"""A home on a real disk: its lock, its control socket, its modes."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bailee.errors import BaileeError, InputError, IntegrityError
from bailee.home import Home, HomeLock
from bailee.home.control import ask
from bailee.home.control_server import ControlServer
from bailee.node.node import Node


def test_a_home_has_one_owner_until_it_lets_go(tmp_path: Path) -> None:
    """A second process is refused with the first one's id; after its end the home is free."""
    home = Home(tmp_path / "home")
    home.make()
    script = (
        "import sys; from pathlib import Path; from bailee.home import Home, HomeLock\n"
        "HomeLock(Home(Path(sys.argv[1]))).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(home.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert b"held\n" == holder.stdout.readline()

    with pytest.raises(InputError) as refused:
        HomeLock(home).acquire()
    holder.kill()
    holder.wait()

    assert "home_in_use" == refused.value.code
    assert str(holder.pid) in refused.value.message
    with HomeLock(home):
        pass


@pytest.mark.row("D4")
def test_a_home_whose_run_folder_was_removed_still_has_its_owner(tmp_path: Path) -> None:
    """Nobody else gets in, and is told who has it and that they can't be reached."""
    home = Home(tmp_path / "home")
    with HomeLock(home):
        shutil.rmtree(home.path / "run")
        with pytest.raises(InputError, match=rf"process {os.getpid()}, and its folder run/"):
            HomeLock(home).acquire()
        with pytest.raises(InputError, match="run/"):
            HomeLock(home).acquire()  # the first attempt has not made it look otherwise
    with HomeLock(home):
        assert f"{os.getpid()}\n" == home.lock_file.read_text()


def test_what_lies_in_a_home_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Folders have mode 0700, whatever the umask."""
    home = Home(tmp_path / "home")
    before = os.umask(0)
    try:
        home.make()
    finally:
        os.umask(before)

    modes = {p.name: p.stat().st_mode & 0o777 for p in (home.path, *home.path.iterdir())}
    assert dict.fromkeys(modes, 0o700) == modes


def test_a_home_with_data_can_not_become_one_with_a_test_clock(tmp_path: Path) -> None:
    """Real data must not be walked through time by an environment variable."""
    home = Home(tmp_path)
    home.make()
    home.data_database.touch()

    with pytest.raises(InputError, match="real clock"):
        home.make(test_clock=True)


Run = Callable[[str, Mapping[str, object]], Iterator[object] | object]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[Run], Path]]:
    """Serves operations on a control socket from a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[ControlServer] = []

    def serve(run: Run) -> Path:
        path = tmp_path / "control.sock"
        server = ControlServer(path, run)
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        servers.append(server)
        return path

    yield serve
    for server in servers:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_an_operation_gives_its_one_answer(served: Callable[[Run], Path]) -> None:
    """What goes in and comes out is plain JSON."""
    path = served(lambda name, arguments: {"name": name, **arguments})

    assert [{"name": "greet", "to": "ada"}] == list(ask(path, "greet", {"to": "ada"}))


def test_a_stream_of_items_arrives_whole(served: Callable[[Run], Path]) -> None:
    """Many items come one by one, in order."""
    path = served(lambda name, arguments: iter(range(2000)))

    assert list(range(2000)) == list(ask(path, "count", {}))


def test_an_error_keeps_its_code_and_hint(served: Callable[[Run], Path]) -> None:
    """The command line shows the same error as if it had done the work itself."""

    def refuse(name: str, arguments: Mapping[str, object]) -> object:
        raise InputError("no such thing.", code="not_found", hint="look elsewhere")

    path = served(refuse)

    with pytest.raises(BaileeError) as refused:
        list(ask(path, "find", {}))
    assert ("not_found", "no such thing.", "look elsewhere") == (
        refused.value.code,
        refused.value.message,
        refused.value.hint,
    )


def test_a_server_that_ends_in_the_middle_is_an_error(served: Callable[[Run], Path]) -> None:
    """Half an answer is not taken for a whole one, and whose fault it is is said."""

    def stumble(name: str, arguments: Mapping[str, object]) -> Iterator[object]:
        yield 1
        raise ValueError("a defect")

    path = served(stumble)

    with pytest.raises(BaileeError, match="defect of bailee"):
        list(ask(path, "stumble", {}))


def test_the_socket_is_for_its_owner_alone(served: Callable[[Run], Path]) -> None:
    """Nobody else on the machine may carry out operations."""
    assert 0o600 == served(lambda *_: None).stat().st_mode & 0o777


def test_a_home_deep_in_a_tree_still_has_a_socket(tmp_path: Path) -> None:
    """A path longer than a socket address can hold works all the same."""
    deep = tmp_path / ("d" * 60) / ("e" * 60) / "control.sock"
    deep.parent.mkdir(parents=True)

    async def talk() -> list[object]:
        server = ControlServer(deep, lambda name, arguments: name)
        await server.start()
        answers = await asyncio.to_thread(lambda: list(ask(deep, "hello", {})))
        await server.close()
        return answers

    assert ["hello"] == asyncio.run(talk())


@pytest.mark.row("R5", "D4")
def test_a_home_without_its_root_is_refused_until_it_is_put_back(tmp_path: Path) -> None:
    """Nothing is made in its place, and nothing is lost; without its last line's end it opens."""
    home = Home(tmp_path / "home")
    with HomeLock(home), Node.open(home, environment={}) as node:
        account, _, key = node.accounts.create(plan="pro", name="n")
        node.keyring.secret("kept")
    root = home.root_key_file
    content = root.read_bytes()
    root.unlink()
    for _ in range(2):
        with HomeLock(home), pytest.raises(IntegrityError) as refused:
            Node.open(home, environment={})
        assert "root.json" in refused.value.message
        assert not root.exists()
    root.touch(mode=0o600)
    root.write_bytes(content.rstrip())
    with HomeLock(home), Node.open(home, environment={}) as node:
        found = node.accounts.authenticate(key.encode())
        assert found is not None
        assert account.account_id == found[1].account_id
        node.keyring.secret("kept")
    assert content.rstrip() == root.read_bytes()
