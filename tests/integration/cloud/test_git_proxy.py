"""The git proxy, with the real git before it and a git server with passwords behind it."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from bailee.cloud.git import CredentialUse, GitLimits, GitOutcome, GitRecord, GitService, Repository
from bailee.errors import InputError, StorageError, UpstreamError
from bailee.outbound.addresses import Address
from bailee.outbound.dialing import Dialer
from support.servers.git_server import git, git_environment

from .conftest import BRANCH, TOKEN, Setting

pytestmark = pytest.mark.row("C2")


def post(setting: Setting, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    """A request that git itself would not make."""
    connection = http.client.HTTPConnection("127.0.0.1", setting.served.port, timeout=60)
    given = {"Authorization": f"Bearer {TOKEN}"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", f"/127.0.0.1/{setting.name}{path}", body, given)
    answer = connection.getresponse()
    return answer.status, answer.read()


class TestFetching:
    @pytest.mark.parametrize("version", ["0", "1", "2"])
    def test_every_protocol_version_clones(self, setting: Setting, version: str) -> None:
        """A clone has everything, in each version of git's protocol."""
        got = setting.git("-c", f"protocol.version={version}", "clone", setting.url, "work")
        assert got.status == 0, got.output
        assert setting.tip("main") == git("rev-parse", "HEAD", cwd=setting.folder / "work").strip()
        assert {CredentialUse.READ} == set(setting.accesses)

    def test_shallow_then_deeper(self, setting: Setting) -> None:
        """A clone of one commit can be deepened, and made whole."""
        work = setting.clone("--depth=1")
        assert "1" == git("rev-list", "--count", "HEAD", cwd=work).strip()
        assert 0 == setting.git("fetch", "--deepen=1").status
        assert "2" == git("rev-list", "--count", "HEAD", cwd=work).strip()
        assert 0 == setting.git("fetch", "--unshallow").status
        assert "3" == git("rev-list", "--count", "HEAD", cwd=work).strip()

    def test_partial(self, setting: Setting) -> None:
        """A clone without contents fetches each when it is needed."""
        got = setting.git("clone", "--filter=blob:none", "--no-checkout", setting.url, "work")
        assert got.status == 0, got.output
        work = setting.folder / "work"
        missing = git("rev-list", "--objects", "--all", "--missing=print", cwd=work)
        assert "?" in missing
        assert 0 == setting.git("checkout", "main").status
        assert (work / "0.txt").exists()

    def test_a_long_request_comes_compressed(self, setting: Setting) -> None:
        """Git compresses a long request; it is inflated here, and answered."""
        seed = setting.folder / "seed"
        for number in range(40):
            git("checkout", "--quiet", "-b", f"b{number}", "main", cwd=seed)
            git("commit", "--quiet", "--allow-empty", "--message", f"{number}", cwd=seed)
        git("push", "--quiet", "--all", str(setting.bare), cwd=seed)
        got = setting.git(
            *("-c", "protocol.version=0", "clone", setting.url, "work"), GIT_CURL_VERBOSE="1"
        )
        assert got.status == 0, got.output
        assert "content-encoding: gzip" in got.output.lower()
        posted = [a for a in setting.server.asked if a.method == "POST"][-1]
        assert "content-encoding" not in {name.lower() for name in posted.headers}

    def test_nothing_of_the_connection_goes_upstream_as_it_came(self, setting: Setting) -> None:
        """The server sees its own credential and none of the session's token."""
        before = len(setting.server.asked)
        setting.clone()
        asked = setting.server.asked[before:]
        assert asked
        for one in asked:
            assert setting.server.authorization == one.headers["authorization"]
            assert TOKEN not in str(one)


class TestPushing:
    def test_the_branch_is_made_and_moves_forward(self, setting: Setting) -> None:
        """The session's branch can be pushed, again and again; each push is on record."""
        setting.clone()
        first = setting.commit("one")
        assert 0 == setting.git("push", "origin", "HEAD").status
        assert first == setting.tip()
        second = setting.commit("two")
        got = setting.git("push", "origin", "HEAD")
        assert got.status == 0, got.output
        assert second == setting.tip()
        setting.served.idle()
        pushes = [r for r in setting.records if r.ask is GitService.PUSH]
        assert [
            (GitOutcome.DONE, BRANCH, "0" * 40, first),
            (GitOutcome.DONE, BRANCH, first, second),
        ] == [(r.outcome, r.ref, r.old, r.new) for r in pushes]

    def test_from_a_shallow_clone(self, setting: Setting) -> None:
        """A clone of one commit can push, also a second time."""
        setting.clone("--depth=1")
        setting.commit("one")
        assert 0 == setting.git("push", "origin", "HEAD").status
        tip = setting.commit("two")
        got = setting.git("push", "origin", "HEAD")
        assert got.status == 0, got.output
        assert tip == setting.tip()

    def test_a_large_pack_passes_in_pieces(self, setting: Setting) -> None:
        """30 MB that don't compress are pushed, onto a new branch and onto one that exists."""
        work = setting.clone()
        for number in range(2):
            (work / f"large{number}").write_bytes(os.urandom(15_000_000))
            (work / f"zeros{number}").write_bytes(bytes(8_000_000 + number))
            tip = setting.commit(f"large {number}")
            got = setting.git("push", "origin", "HEAD")
            assert got.status == 0, got.output
            assert tip == setting.tip()

    def test_a_merge_is_a_step_forward(self, setting: Setting) -> None:
        """Commits as deltas of one another, and a merge, are seen to add to the branch."""
        work = setting.clone()
        setting.commit("one")
        assert 0 == setting.git("push", "origin", "HEAD").status
        git("checkout", "--quiet", "-b", "side", "main", cwd=work)
        for number in range(60):
            (work / "side.txt").write_text(f"{number}")
            git("add", ".", cwd=work)
            message = "The same long text each time, so that commits become deltas. " * 20
            git("commit", "--quiet", "--message", message + str(number), cwd=work)
        git("checkout", "--quiet", "bailee/s1", cwd=work)
        git("merge", "--quiet", "--no-edit", "side", cwd=work)
        git("repack", "-adfq", "--depth=50", cwd=work)
        got = setting.git("push", "origin", "HEAD")
        assert got.status == 0, got.output
        assert git("rev-parse", "HEAD", cwd=work).strip() == setting.tip()

    def test_names_of_64_digits(self, setting: Setting) -> None:
        """A repository with SHA-256 names is cloned, pushed to, and held to the same rules."""
        setting.name = setting.name.replace("repo", "new")
        bare = setting.server.make(setting.name, "--object-format=sha256")
        seed = setting.folder / "new"
        git("init", "--quiet", "--initial-branch=main", "--object-format=sha256", str(seed))
        git("commit", "--quiet", "--allow-empty", "--message", "first", cwd=seed)
        git("push", "--quiet", str(bare), "main", cwd=seed)
        setting.proxy()
        assert 0 == setting.git("clone", setting.url, "work").status
        git("checkout", "--quiet", "-b", "bailee/s1", cwd=setting.folder / "work")
        setting.commit("one")
        assert 0 == setting.git("push", "origin", "HEAD").status
        tip = setting.commit("two")
        got = setting.git("push", "origin", "HEAD")
        assert (got.status, 64, tip) == (0, len(tip), setting.tip()), got.output
        git("commit", "--quiet", "--amend", "--message", "x", cwd=setting.folder / "work")
        assert "not seen to be a fast" in setting.git("push", "--force", "origin", "HEAD").output


class TestRefusals:
    @pytest.mark.parametrize(
        ("what", "ref", "rule"),
        [
            ("HEAD:main", "refs/heads/main", "ref"),
            ("HEAD:refs/heads/bailee/s2", "refs/heads/bailee/s2", "ref"),
            ("HEAD:refs/heads/bailee/s1/x", "refs/heads/bailee/s1/x", "ref"),
            ("HEAD:refs/tags/v1", "refs/tags/v1", "ref"),
            ("HEAD:refs/notes/x", "refs/notes/x", "ref"),
            (":refs/tags/v0", "refs/tags/v0", "ref"),
            (":main", "refs/heads/main", "ref"),
            ("+HEAD:main", "refs/heads/main", "ref"),
        ],
    )
    def test_another_ref(self, setting: Setting, what: str, ref: str, rule: str) -> None:
        """Another branch, a tag, a note, a deletion: git prints why, and the server has nothing."""
        setting.clone()
        setting.commit()
        before = (setting.refs(), setting.tip("main"))
        got = setting.git("push", "origin", what)
        assert got.status != 0
        assert "remote: bailee: this session pushes only to bailee/s1" in got.output
        assert "(this session pushes only to bailee/s1)" in got.output
        assert before == (setting.refs(), setting.tip("main"))
        setting.served.idle()
        last = setting.records[-1]
        assert (GitService.PUSH, GitOutcome.REFUSED, rule) == (last.ask, last.outcome, last.rule)
        assert ref not in str(last)

    def test_deleting_its_own_branch(self, setting: Setting) -> None:
        """The session's branch can't be deleted."""
        setting.clone()
        setting.commit()
        setting.git("push", "origin", "HEAD")
        got = setting.git("push", "origin", ":bailee/s1")
        assert "[remote rejected] bailee/s1 (this session deletes no branch)" in got.output
        assert BRANCH in setting.refs()

    def test_one_that_may_be_with_one_that_may_not(self, setting: Setting) -> None:
        """A push of two refs goes as a whole or not at all."""
        setting.clone()
        setting.commit()
        got = setting.git("push", "origin", "HEAD", "HEAD:main")
        assert "HEAD -> bailee/s1 (not pushed: another ref of this push was refused)" in got.output
        assert BRANCH not in setting.refs()

    def test_setting_the_branch_back(self, setting: Setting) -> None:
        """An amended commit does not replace what was pushed, and the server keeps its tip."""
        work = setting.clone()
        tip = setting.commit("one")
        setting.git("push", "origin", "HEAD")
        (work / "large").write_bytes(os.urandom(3_000_000))
        git("add", ".", cwd=work)
        git("commit", "--quiet", "--amend", "--message", "another", cwd=work)
        got = setting.git("push", "--force", "origin", "HEAD")
        assert "[remote rejected] HEAD -> bailee/s1 (not seen to be a fast-forward" in got.output
        got = setting.git("push", "--force", "origin", "main:bailee/s1")
        assert "[remote rejected] main -> bailee/s1 (not seen to be a fast-forward" in got.output
        assert tip == setting.tip()

    def test_setting_the_branch_back_where_it_is_allowed(self, setting: Setting) -> None:
        """With `force`, the session's branch can be set back, and no other."""
        setting.proxy(force=True)
        work = setting.clone()
        setting.commit("one")
        setting.git("push", "origin", "HEAD")
        git("commit", "--quiet", "--amend", "--message", "another", cwd=work)
        assert 0 == setting.git("push", "--force", "origin", "HEAD").status
        assert git("rev-parse", "HEAD", cwd=work).strip() == setting.tip()
        assert 0 != setting.git("push", "--force", "origin", "HEAD:main").status

    def test_push_options_and_signed_pushes(self, setting: Setting) -> None:
        """They are not offered, though the server would take them; and refused if sent anyway."""
        git("config", "receive.advertisePushOptions", "true", cwd=setting.bare)
        git("config", "receive.certNonceSeed", "seed", cwd=setting.bare)
        setting.clone()
        tip = setting.commit()
        got = setting.git("push", "-o", "ci.skip", "origin", "HEAD")
        assert "does not support push options" in got.output
        got = setting.git("push", "--signed", "origin", "HEAD")
        assert "does not support --signed push" in got.output
        capabilities = "report-status side-band-64k push-options"
        line = f"{'0' * 40} {tip} {BRANCH}\0{capabilities}".encode()
        body = b"%04x%b0000" % (len(line) + 4, line)
        _, answer = post(setting, "/git-receive-pack", body)
        assert b"ERR bailee: push options are not passed on; push without -o" in answer
        assert BRANCH not in setting.refs()

    def test_another_repository(self, setting: Setting) -> None:
        """Another repository of the same server, with the same credential, is not reached."""
        setting.server.make(f"{setting.folder.name}/other.git")
        before = len(setting.server.asked)
        for name in ("other.git", "repo.git/../other.git", "repo.git%2f..%2fother.git", "REPO.git"):
            url = f"{setting.url.rpartition('/')[0]}/{name}"
            got = setting.git("ls-remote", url)
            assert "remote error: bailee: this session reaches only 127.0.0.1/" in got.output
        assert before == len(setting.server.asked)

    @pytest.mark.parametrize("token", ["wrong", "", "session-token-of-the-guest "])
    def test_another_token(self, setting: Setting, token: str) -> None:
        """Without the session's token nothing is asked of the server, and nobody is prompted."""
        before = len(setting.server.asked)
        got = setting.git("ls-remote", setting.url, token=token)
        if token.strip() == TOKEN:
            assert got.status == 0  # blanks around a field's value are no part of it
            return
        assert "remote error: bailee: the session's token is missing or wrong" in got.output
        assert before == len(setting.server.asked)

    def test_the_dumb_protocol(self, setting: Setting) -> None:
        """The dumb protocol is refused with a reason that git prints."""
        got = setting.git("clone", setting.url, "work", GIT_SMART_HTTP="0")
        assert "remote: bailee: the dumb protocol does not go through the git proxy" in got.output

    def test_lfs(self, setting: Setting) -> None:
        """Git LFS is refused with a reason that git lfs prints."""
        if shutil.which("git-lfs") is None:
            pytest.skip("git-lfs is not installed")
        work = setting.clone()
        git("lfs", "install", "--local", cwd=work)
        git("lfs", "track", "*.bin", cwd=work)
        (work / "a.bin").write_bytes(b"large" * 1000)
        setting.commit()
        got = setting.git("push", "origin", "HEAD")
        assert got.status != 0
        assert "Git LFS does not go through the git proxy" in got.output

    def test_a_body_that_inflates_without_end(self, setting: Setting) -> None:
        """A small compressed body that becomes a large one is refused while it grows."""
        setting.proxy(limits=GitLimits(asked=1 << 20))
        bomb = gzip.compress(bytes(50 << 20))
        before = len(setting.server.asked)
        status, answer = post(setting, "/git-upload-pack", bomb, Content_Encoding="gzip")
        assert (200, True) == (status, b"ERR bailee: a body over the limit" in answer)
        assert [] == [a for a in setting.server.asked[before:] if a.method == "POST"]

    def test_a_push_over_the_limit(self, setting: Setting) -> None:
        """A push larger than it may be is refused, and the server has nothing of it."""
        setting.proxy(limits=GitLimits(push=2 << 20))
        work = setting.clone()
        (work / "large").write_bytes(os.urandom(4 << 20))
        setting.commit()
        assert 0 != setting.git("push", "origin", "HEAD").status
        assert BRANCH not in setting.refs()
        setting.served.idle()
        assert "request.malformed" == setting.records[-1].rule


class TestUpstream:
    def test_a_credential_that_is_not_taken(self, setting: Setting) -> None:
        """A 401 of the server becomes a reason; git is not made to ask for a password."""
        setting.proxy(credential=lambda: "Basic d3Jvbmc6d3Jvbmc=")
        got = setting.git("ls-remote", setting.url)
        assert "the git server takes no access with the stored Git connection (401)" in got.output
        assert b"realm" not in setting.served.to_client
        assert b"www-authenticate" not in setting.served.to_client.lower()

    def test_a_redirect(self, setting: Setting) -> None:
        """A redirect is not followed and not passed on."""
        place = "https://elsewhere.example/secret-place"
        path = f"/{setting.name}/info/refs"
        setting.server.redirects[path] = place
        got = setting.git("ls-remote", setting.url)
        assert "the git server redirects (301), which is not followed" in got.output
        assert b"secret-place" not in setting.served.to_client

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ((404, b"no"), "no such repository for the stored Git connection (404)"),
            ((500, b"secret trace"), "the git server answered 500"),
            ((200, b"<html>secret page</html>"), "what answers there is no git server"),
        ],
    )
    def test_other_answers(self, setting: Setting, answer: tuple[int, bytes], said: str) -> None:
        """Whatever else the server answers, its words stay outside."""
        setting.server.answers[f"/{setting.name}/info/refs"] = answer
        got = setting.git("ls-remote", setting.url)
        assert said in got.output
        assert b"secret" not in setting.served.to_client

    def test_what_the_server_rejects(self, setting: Setting) -> None:
        """The server's own refusal reaches git as it is, and is on record as that."""
        hook = setting.bare / "hooks" / "pre-receive"
        hook.write_text("#!/bin/sh\necho 'the hook says no' >&2\nexit 1\n")
        hook.chmod(0o755)
        setting.clone()
        setting.commit()
        got = setting.git("push", "origin", "HEAD")
        assert "remote: the hook says no" in got.output
        assert "[remote rejected] HEAD -> bailee/s1 (pre-receive hook declined)" in got.output
        setting.served.idle()
        assert GitOutcome.REJECTED == setting.records[-1].outcome

    def test_no_credential(self, setting: Setting) -> None:
        """When the credential can't be had, the reason is that error's message."""

        def fail() -> str:
            raise UpstreamError("the app's installation was suspended.")

        setting.proxy(credential=fail)
        got = setting.git("ls-remote", setting.url)
        assert "no credential for the git server: the app's installation was" in got.output

    def test_a_server_that_is_not_public(self, setting: Setting) -> None:
        """A repository's address can't lead into the host's own network."""
        setting.proxy(dialer=Dialer())
        got = setting.git("ls-remote", setting.url)
        assert "the git server: its address is not public (loopback)" in got.output

    def test_a_certificate_that_is_not_trusted(self, setting: Setting) -> None:
        """TLS to the server is verified."""
        import ssl

        setting.trust = ssl.create_default_context()
        setting.proxy()
        got = setting.git("ls-remote", setting.url)
        assert "the git server: TLS failed there" in got.output

    def test_a_server_that_says_nothing(self, setting: Setting) -> None:
        """A server that takes the connection and is silent is given up."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/{setting.name}"
            setting.proxy(url=url, limits=GitLimits(idle=0.5))
            got = setting.git("ls-remote", setting.url)
            assert "the git server said nothing for too long" in got.output

    def test_no_tls_where_nobody_said_so(self, setting: Setting) -> None:
        """Plain HTTP is for networks that the operator named; no other server sees a credential."""
        with pytest.raises(InputError, match="does not begin with https://"):
            Repository.read("http://git.example.org/repo.git")

        class Elsewhere(Dialer):
            """Says that the address is a public one."""

            def permits(self, address: Address) -> bool:
                return False

            def check(self, address: Address) -> None:
                pass

        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}/{setting.name}"
            setting.proxy(url=url, dialer=Elsewhere())
            got = setting.git("ls-remote", setting.url)
            assert "no credential goes to a public address without TLS" in got.output
            connection, _ = server.accept()
            with connection:
                assert b"" == connection.recv(100)

    def test_what_can_not_be_recorded_does_not_go_on(self, setting: Setting) -> None:
        """When the record can't be written, the next operation is refused and not passed on."""
        setting.clone()
        proxy = setting.proxy()
        broken = [True]

        def record(one: GitRecord) -> None:
            if broken[0]:
                raise StorageError("the disk is full.")
            setting.records.append(one)

        proxy._record = record  # type: ignore[misc]
        setting.git("ls-remote", setting.url)
        before = len(setting.server.asked)
        assert "can't be recorded" in setting.git("ls-remote", setting.url).output
        setting.served.idle()
        broken[0] = False
        assert "can't be recorded" in setting.git("ls-remote", setting.url).output
        setting.served.idle()
        assert before == len(setting.server.asked)
        assert 0 == setting.git("ls-remote", setting.url).status

    def test_the_credential_is_in_nothing_that_the_session_saw(self, setting: Setting) -> None:
        """Cloning, pushing and being refused send no byte of the credential to the session's side,
        and git leaves none behind in its folder.
        """
        work = setting.clone()
        setting.commit()
        setting.git("push", "origin", "HEAD")
        setting.git("push", "origin", "HEAD:main")
        setting.git("fetch", "origin")
        assert {CredentialUse.READ, CredentialUse.WRITE} == set(setting.accesses)
        password = setting.server.password.encode()
        wanted = (password, base64.b64encode(password)[:-2], setting.server.authorization.encode())
        seen = bytes(setting.served.to_client) + b"".join(
            path.read_bytes() for path in work.rglob("*") if path.is_file()
        )
        assert len(seen) > 1000
        assert [False] * 3 == [secret in seen for secret in wanted]
        assert not any(secret.decode() in str(setting.records) for secret in wanted)


def test_requests_that_git_would_not_make(setting: Setting) -> None:
    """Whatever is not git's smart HTTP gets a reason and goes nowhere."""
    before = len(setting.server.asked)
    for path in ("/git-upload-archive", "/info/refs", "/git-upload-pack?x=y", "/HEAD"):
        status, _ = post(setting, path, b"")
        assert 403 == status
    for body in (b"", b"zzzz", b"0003", b"ffff", b"0000PACK", b"0009hello0000"):
        _, answer = post(setting, "/git-receive-pack", body)
        assert b"ERR bailee: " in answer
    assert before == len(setting.server.asked)


def test_lfs_is_refused_in_its_own_form(setting: Setting) -> None:
    """What git lfs reads is JSON with a message."""
    status, answer = post(setting, "/info/lfs/objects/batch", b"{}")
    assert 403 == status
    assert json.loads(answer)["message"].startswith("bailee: Git LFS does not go through")


def test_two_proxies_keep_apart(setting: Setting) -> None:
    """The token of one session opens nothing at another's proxy."""
    got = setting.git("ls-remote", setting.url, token="the-token-of-another-session")
    assert got.status != 0


def test_the_real_client_runs_apart(tmp_path: Path) -> None:
    """The tests' git sees nothing of this machine's settings."""
    done = subprocess.run(
        ["git", "config", "--list", "--show-origin"],
        env=git_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "" == done.stdout
