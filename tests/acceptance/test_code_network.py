"""`bailee code` on a company's network: the model is reached the company's way, or not at all."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from bailee.agent.sandbox import find
from bailee.testing.upstream import ScriptedUpstream, Text, ToolUse
from support.clients import processes
from support.clients.programs import SILENT, clean_environment
from support.servers.corporate_network import opening_proxy, squid, squid_with_password


@pytest.fixture
def authority() -> trustme.CA:
    """The company's."""
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """The variable that names its certificate."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return {"SSL_CERT_FILE": str(file)}


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """TLS of a server that `authority` signed."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("bailee.example").configure_cert(made)
    return made


def code(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One prompt, to its end."""
    env = clean_environment(
        root.parent / "person", ANTHROPIC_AUTH_TOKEN="bl_test", **SILENT, **environment
    )
    return processes.run("code", "-p", "hello", *arguments, env=env, folder=root, timeout=90)


@pytest.mark.row("D2", "D1")
def test_a_proxy_with_a_password_an_authority_and_a_client_certificate(
    root: Path, authority: trustme.CA, trusted: dict[str, str], tmp_path: Path
) -> None:
    """All three at once, through a real squid that alone knows the name; without any one of them
    nothing reaches the model, and the message says where to look. The variables may stand in
    settings.json.
    """
    wants = server_context(authority)
    wants.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(wants)
    mine = authority.issue_cert("ann@bailee.example")
    certificate, key = tmp_path / "ann.pem", tmp_path / "ann.key"
    mine.cert_chain_pems[0].write_to_path(certificate)
    mine.private_key_pem.write_to_path(key)
    with (
        ScriptedUpstream(tools_only=False, ssl_context=wants) as upstream,
        squid_with_password("ann", "pears") as proxy,
    ):
        port = upstream.url.rpartition(":")[2]
        at = {"ANTHROPIC_BASE_URL": f"https://bailee.example:{port}"}
        through = {"HTTPS_PROXY": f"http://ann:pears@127.0.0.1:{proxy.port}"}
        shown = {"BAILEE_CLIENT_CERT": str(certificate), "BAILEE_CLIENT_KEY": str(key)}
        lacking = (
            {**at, **trusted, **shown, "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"},
            {**at, **through, **shown},
            {**at, **through, **trusted},
        )
        with ThreadPoolExecutor() as pool:  # each tries again, and waits in between
            refused = list(pool.map(lambda environment: code(root, **environment), lacking))
        for done in refused:
            assert (4, "") == (done.returncode, done.stdout)
            assert "can't be reached" in done.stderr
            assert "pears" not in done.stderr
        assert [] == upstream.conversations
        done = code(root, **at, **through, **trusted, **shown)
        assert (0, "Done.\n", "") == (done.returncode, done.stdout, done.stderr)

        settings = root.parent / "person" / ".config" / "bailee" / "settings.json"
        settings.parent.mkdir(parents=True)
        held = ",".join(f'"{k}": "{v}"' for k, v in {**through, **trusted, **shown}.items())
        settings.write_text(f'{{"env": {{{held}}}}}')
        assert (0, "Done.\n") == ((done := code(root, **at)).returncode, done.stdout)

    assert 2 == len(upstream.conversations)
    assert any("/407 " in line for line in proxy.lines)


@pytest.mark.row("S7", "D2")
def test_commands_get_out_to_what_the_settings_allow(root: Path) -> None:
    """From settings.json to a command in the sandbox: a host that is allowed is asked for by the
    company's proxy, another one by nobody; a project's settings open nothing.
    """
    if (box := find()).program is None:
        pytest.skip(f"no sandbox here: {box.why}")
    settings = root.parent / "person" / ".config" / "bailee" / "settings.json"
    settings.parent.mkdir(parents=True)
    fetch = (
        f"{sys.executable} -c 'import sys, urllib.request, urllib.error\n"
        "for url in sys.argv[1:]:\n"
        "  try: print(urllib.request.urlopen(url, timeout=20).status)\n"
        "  except urllib.error.HTTPError as e: print(e.code, e.read(99))\n"
        "  except OSError as e: print(type(e).__name__)' http://bailee.example/x http://other.example/y"
    )
    with squid() as proxy, ScriptedUpstream(tools_only=False) as upstream:
        ways = {
            "ANTHROPIC_BASE_URL": upstream.url,
            "HTTP_PROXY": f"http://127.0.0.1:{proxy.port}",
        }
        for allowed in (["bailee.example"], None):
            if allowed is None:
                settings.unlink()
                (root / ".bailee").mkdir()
                settings = root / ".bailee" / "settings.json"
            hosts = allowed or ["bailee.example"]
            settings.write_text(json.dumps({"sandbox": {"network": hosts}}))
            upstream.then(ToolUse("Bash", {"command": fetch}), Text("Done."))
            done = code(root, "--allowed-tools", "Bash", **ways)
            assert (0, "Done.\n") == (done.returncode, done.stdout)
        first, second = (
            str(upstream.conversations[at].json["messages"][-1]["content"][0]["content"])
            for at in (1, 3)
        )

    assert first.startswith("503")  # squid's: nobody listens there
    assert "other.example port 80: it is not in sandbox.network" in first
    assert "503" not in second
    asked = [line for line in proxy.lines if ".example" in line]
    assert 1 == len(asked)
    assert "http://bailee.example/x" in asked[0]


@pytest.mark.row("D2", "D1")
def test_a_proxy_that_opens_tls_and_plain_http(
    root: Path, authority: trustme.CA, trusted: dict[str, str]
) -> None:
    """A company's proxy that answers in the model's name is trusted once its authority is named;
    over plain HTTP no prompt goes to another machine, proxy or not.
    """
    public = trustme.CA()
    with (
        ScriptedUpstream(tools_only=False, ssl_context=server_context(public)) as upstream,
        opening_proxy(authority, public) as proxy,
    ):
        port = upstream.url.rpartition(":")[2]
        through = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"}
        at = {"ANTHROPIC_BASE_URL": f"https://bailee.example:{port}"}
        assert 4 == code(root, **at, **through).returncode
        assert [] == upstream.conversations
        done = code(root, **at, **through, **trusted)
        assert (0, "Done.\n") == (done.returncode, done.stdout)
        assert 1 == len(upstream.conversations)

        plain = {"ANTHROPIC_BASE_URL": f"http://bailee.example:{port}"}
        done = code(root, **plain, HTTP_PROXY=f"http://127.0.0.1:{proxy.port}")
        assert 2 == done.returncode
        assert "Nothing is sent over plain HTTP to another machine" in done.stderr
