"""`bailee up` in a company's network: proxy with a password, authority, client certificate."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trustme

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee
from support.servers.corporate_network import free_port, squid_with_password

pytestmark = pytest.mark.row("D2")

PASSWORD = "sesame:open/door"
BODY = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "which way?"}]}


def _ask(bailee: Bailee) -> tuple[int, str]:
    """Status and body of a conversation."""
    request = urllib.request.Request(
        bailee.ready["gateway"] + "/v1/messages",
        json.dumps(BODY).encode(),
        {"x-api-key": bailee.ready["key"], "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("how", ["settings", "environment"])
def test_the_model_is_reached_by_the_companys_way(bailee: Bailee, tmp_path: Path, how: str) -> None:
    """Named by settings or by HTTPS_PROXY; the password is in no output and no file."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("bailee.example").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    mine = authority.issue_cert("gateway@company.example")
    mine.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "mine.pem"))
    with (
        ScriptedUpstream([Text("by the proxy")], tools_only=False, ssl_context=context) as model,
        squid_with_password("ada", PASSWORD) as proxy,
    ):
        if how == "settings":
            env = {
                "BAILEE_UPSTREAM_PROXY": f"http://127.0.0.1:{proxy.port}",
                "BAILEE_UPSTREAM_PROXY_LOGIN_ENV": "PROXY_LOGIN",
                "PROXY_LOGIN": f"ada:{PASSWORD}",
            }
        else:
            quoted = PASSWORD.replace(":", "%3A").replace("/", "%2F")
            env = {"HTTPS_PROXY": f"http://ada:{quoted}@127.0.0.1:{proxy.port}"}
        bailee.up(
            "--upstream", f"https://bailee.example:{model.port}",
            env={
                **env,
                "BAILEE_UPSTREAM_CA_FILE": str(tmp_path / "ca.pem"),
                "BAILEE_UPSTREAM_CLIENT_CERT": str(tmp_path / "mine.pem"),
            },
        )  # fmt: skip
        status, body = _ask(bailee)
        assert (200, True) == (status, "by the proxy" in body), body
        (session,) = bailee.sessions()
        shown = bailee.run("config", "show", env=env).stdout
        bailee.stop()
    assert any(f"CONNECT bailee.example:{model.port} ada" in line for line in proxy.lines)
    assert "upstream.proxy" in shown
    assert PASSWORD not in shown + json.dumps(session)
    assert [] == bailee.holds(PASSWORD.encode())


def test_a_proxy_that_is_gone_is_named_and_not_its_password(bailee: Bailee) -> None:
    """The client reads who must act; the operator's line has the error's name."""
    bailee.up(
        "--upstream", "https://bailee.example",
        env={"HTTPS_PROXY": f"http://ada:{'sesame'}@127.0.0.1:{free_port()}"},
    )  # fmt: skip

    status, body = _ask(bailee)

    assert 502 == status
    assert "The proxy can't be reached. hint: whoever runs this gateway" in body
    assert "sesame" not in body


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("BAILEE_UPSTREAM_PROXY", "http://ada:sesame@proxy.example:3128", "user or password"),
        ("BAILEE_UPSTREAM_PROXY", "socks5://proxy.example:1080", "address of an HTTP proxy"),
        ("BAILEE_UPSTREAM_PROXY_LOGIN_ENV", "NOT_SET", "NOT_SET is empty"),
        ("BAILEE_UPSTREAM_CLIENT_CERT", "/nowhere.pem", "upstream.client_cert names"),
        ("ALL_PROXY", "socks5://proxy.example:1080", "ALL_PROXY"),
    ],
)
def test_what_can_not_be_is_refused_at_the_start(
    bailee: Bailee, variable: str, value: str, says: str
) -> None:
    """One error with a hint, exit status 2, and nothing of a password."""
    done = bailee.run("up", "--upstream", "https://bailee.example", env={variable: value})

    assert 2 == done.returncode
    assert says in done.stderr
    assert "hint:" in done.stderr
    assert "sesame" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
