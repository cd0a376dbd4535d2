"""Whose a home is: the way to it, what lies in it, who serves it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bailee.errors import InputError
from bailee.home import Home, HomeLock, find
from bailee.home.guarding import ProcessUser, check_secret, objection

NOBODY = 65534


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a file in each of its folders."""
    made = Home(tmp_path / "above" / "home")
    made.make()
    for file in (made.data_database, made.keyring_database, made.root_key_file):
        file.touch(mode=0o600)
    (made.vault / "segments").mkdir(mode=0o700)
    (made.vault / "segments" / "s1").touch(mode=0o600)
    return made


def refusal(home: Home) -> str:
    """With what each way to a home refuses it: the same for all."""
    said = set()
    for ask in (
        lambda: find(home.path, {}),
        lambda: find(None, {"BAILEE_HOME": str(home.path)}),
        home.make,
        HomeLock(home).acquire,
    ):
        with pytest.raises(InputError) as refused:
            ask()
        assert "configuration" == refused.value.code
        said.add(f"{refused.value.message} {refused.value.hint}")
    (one,) = said
    return one


@pytest.mark.row("G1")
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
def test_a_folder_above_that_others_can_write_to(home: Home, mode: int) -> None:
    """They could put another home in its place: refused, with what to do; a sticky one is fine."""
    above = home.path.parent
    if mode == 0o775:
        if os.geteuid() != 0:
            pytest.skip("only root gives a folder to a group that it is not in")
        os.chown(above, -1, 12)  # a group that is not ours alone
    above.chmod(mode)
    assert f"{above} can be written by others. let you run: chmod go-w {above};" in refusal(home)
    above.chmod(mode | 0o1000)
    home.check()


@pytest.mark.row("G1")
@pytest.mark.parametrize("name", ["root", "keyring", "data", "vault", "run", "vault/segments"])
def test_a_link_in_place_of_a_folder(home: Home, tmp_path: Path, name: str) -> None:
    """Keys would be made where it leads: refused, and nothing is made there."""
    theirs = tmp_path / "theirs"
    (home.path / name).rename(theirs)
    before = sorted(theirs.rglob("*"))
    (home.path / name).symlink_to(theirs)
    assert str(home.path / name) in refusal(home)
    assert before == sorted(theirs.rglob("*"))


@pytest.mark.row("G1")
@pytest.mark.parametrize("name", ["root/root.json", "data/data.db", "run/lock"])
def test_a_link_in_place_of_a_file(home: Home, tmp_path: Path, name: str) -> None:
    """One that leads somewhere, or nowhere yet: refused, and nothing is made there."""
    (home.path / name).unlink(missing_ok=True)
    (home.path / name).symlink_to(tmp_path / "theirs")
    assert "is no file" in refusal(home)
    assert not (tmp_path / "theirs").exists()


@pytest.mark.row("G1")
def test_a_key_file_with_another_name(home: Home, tmp_path: Path) -> None:
    """Whoever has the other name reads the key: refused."""
    os.link(home.root_key_file, tmp_path / "copy")
    assert "has another name elsewhere" in refusal(home)


@pytest.mark.row("G1")
def test_modes_of_ours_are_mended_but_the_root_keys(home: Home) -> None:
    """Folders become 0700 and files 0600; who could read the root key may have, so that is said."""
    (home.path / "data").chmod(0o777)
    home.data_database.chmod(0o666)
    home.path.chmod(0o755)
    home.check()
    assert [0o700, 0o700, 0o600] == [
        path.stat().st_mode & 0o777 for path in (home.path, home.path / "data", home.data_database)
    ]
    for mode in (0o640, 0o622):
        home.root_key_file.chmod(mode)
        assert "root.json can be" in refusal(home)


@pytest.mark.row("G1")
def test_what_others_could_put_there_is_looked_for_everywhere(home: Home, tmp_path: Path) -> None:
    """While a folder let them write, they could leave a link deep in it."""
    (home.vault / "segments" / "s2").symlink_to(tmp_path)
    home.check()  # not looked for: nobody but us could have
    for opened in (home.vault, home.path):
        opened.chmod(0o777)
        with pytest.raises(InputError, match="s2 is no file"):
            home.check()


@pytest.mark.row("G1")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another user")
@pytest.mark.parametrize("name", [".", "..", "root", "root/root.json", "vault/segments"])
def test_what_is_another_users(home: Home, name: str) -> None:
    """Refused, with whose it is and who can do what."""
    os.chown(home.path / name, NOBODY, -1)
    said = refusal(home)
    assert "belongs to nobody." in said
    assert "run this as nobody, choose another home" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another user")
def test_a_link_of_another_users_on_the_way(home: Home, tmp_path: Path) -> None:
    """They could lead it elsewhere tomorrow; one of ours is followed, and what it leads to."""
    link = tmp_path / "link"
    link.symlink_to(home.path.parent)
    Home(link / "home").check()
    os.lchown(link, NOBODY, -1)
    with pytest.raises(InputError, match="link belongs to nobody"):
        Home(link / "home").check()
    os.lchown(link, 0, -1)
    home.path.parent.chmod(0o777)
    with pytest.raises(InputError, match="above can be written by others"):
        Home(link / "home").check()


def test_settings_may_be_a_link(home: Home, tmp_path: Path) -> None:
    """As those who deploy have it; but not to what others can write."""
    settings = tmp_path / "shared" / "bailee.toml"
    settings.parent.mkdir()
    settings.touch()
    home.settings_file.symlink_to(settings)
    home.check()
    settings.parent.chmod(0o777)
    with pytest.raises(InputError, match="shared can be written by others"):
        home.check()


def test_a_secret_that_a_setting_names(tmp_path: Path) -> None:
    """Such as a TLS key: its group may read it, everybody may not; it is never changed."""
    key = tmp_path / "key.pem"
    check_secret(key)  # none there: whoever reads it says so
    key.touch(mode=0o640)
    check_secret(key)
    for mode, said in ((0o644, "can be read by everybody"), (0o660, "can be written by others")):
        key.chmod(mode)
        with pytest.raises(InputError, match=said):
            check_secret(key)
        assert mode == key.stat().st_mode & 0o777
    key.chmod(0o600)
    tmp_path.chmod(0o777)
    with pytest.raises(InputError, match="can be written by others"):
        check_secret(key)


def test_every_folder_that_is_made_is_ours_alone(tmp_path: Path) -> None:
    """Those above a new home too, whatever the umask, and whoever comes first."""
    before = os.umask(0)
    try:
        with HomeLock(Home(tmp_path / "a" / "b" / "home")):
            pass
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert {0o700} == {path.stat().st_mode & 0o777 for path in made}


@pytest.mark.parametrize(
    ("user", "mode", "group", "on_the_way", "wrong"),
    [
        (1000, 0o40755, 1000, True, None),
        (0, 0o40755, 0, True, None),
        (1001, 0o40755, 0, True, "belongs to"),
        (65534, 0o40755, 0, True, None),
        (65534, 0o40700, 0, False, "belongs to"),
        (1000, 0o40775, 1000, True, None),
        (1000, 0o40775, 1000, False, "can be written"),
        (1000, 0o40775, 100, True, "can be written"),
        (0, 0o41777, 0, True, None),
        (0, 0o41777, 0, False, "can be written"),
        (0, 0o120777, 0, True, None),
        (1001, 0o120777, 0, True, "belongs to"),
    ],
)
def test_what_is_objected_to(
    user: int, mode: int, group: int, on_the_way: bool, wrong: str | None
) -> None:
    """To a user 1000 with a group of their own, in a namespace where 65534 stands for many."""
    status = os.stat_result((mode, 1, 1, 1, user, group, 0, 0, 0, 0))
    said = objection(status, ProcessUser(1000, 1000, 65534), on_the_way=on_the_way)
    assert (said is None) if wrong is None else (said or "").startswith(wrong)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs a process as another user")
def test_another_users_server_is_told_nothing(home: Home) -> None:
    """Whoever listens in the server's place is asked nothing, as a key may be in what is asked."""
    from bailee.home.control import ask

    listener = (
        "import os, socket, sys\n"
        # By its name alone: a socket's whole path may be too long.
        "at, name = os.path.split(sys.argv[1]); os.chdir(at)\n"
        "one = socket.socket(socket.AF_UNIX); one.bind(name); os.chmod(name, 0o777)\n"
        f"os.setuid({NOBODY}); one.listen(); print('there', flush=True)\n"
        "print(one.accept()[0].recv(9), flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", listener, str(home.control_socket)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "there\n" == process.stdout.readline()
    with pytest.raises(InputError, match="another user"):
        list(ask(home.control_socket, "privacy.show", {"key": "bl_secret"}))
    assert "b''\n" == process.stdout.readline()
    process.wait()


def test_links_that_lead_round(tmp_path: Path) -> None:
    """End, with an error."""
    from bailee.errors import StorageError

    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    check: Callable[[], None] = Home(tmp_path / "a" / "home").check
    with pytest.raises(StorageError, match="round"):
        check()
