"""An upstream can't send a client, its prompt, its key or the operator's credential elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import Exactly, Reply, ScriptedUpstream
from support.servers.corporate_network import free_port, listens

pytestmark = pytest.mark.row("G2")

PROMPT = b'{"messages":[{"role":"user","content":"the prompt"}],"tools":[1]}'
POSTS = [
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/bedrock/model/anthropic.claude-x/invoke",
    "/vertex/projects/p/locations/l/publishers/anthropic/models/claude-x:rawPredict",
]


def moved(status: int, to: str) -> Exactly:
    """A redirect."""
    return Exactly(Reply(status, (("Location", to),), (b"gone there",), reason="Moved"))


@pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_of_a_prompt_is_an_error(
    serve: Any, post: Callable[..., bytes], key: str, path: str, status: int
) -> None:
    """502 that says who must act, and nothing of the address."""
    after = moved(status, "https://elsewhere.example/v1/messages")
    with ScriptedUpstream(tools_only=False, after=after) as upstream:
        # Counting has its own scripted answer; here all paths are moved.
        upstream._turn = lambda request: after  # type: ignore[method-assign]
        serving = serve(upstream)
        answer = serving.connect().send(post(PROMPT, key=key, path=path)).answer()
        assert (502, None) == (answer.status, answer.field("location"))
        assert b"elsewhere" not in answer.body
        error = json.loads(answer.body)["error"]
        assert f"({status})" in error["message"]
        assert "whoever runs this gateway: set the upstream's URL" in error["message"]
        assert "upstream_protocol" == serving.summary().error


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_redirect_of_a_key_alone_is_an_error(serve: Any, method: str) -> None:
    """A list of models carries no prompt, but the key."""
    after = moved(308, "https://elsewhere.example/v1/models")
    with ScriptedUpstream() as upstream:
        upstream._turn = lambda request: after  # type: ignore[method-assign]
        request = f"{method} /v1/models HTTP/1.1\r\nHost: g\r\nx-api-key: bl_keep\r\n\r\n"
        answer = serve(upstream).connect().send(request.encode()).answer(method)
        assert (502, None) == (answer.status, answer.field("location"))


@pytest.mark.parametrize("status", [302, 307])
def test_curl_that_follows_carries_nothing_away(serve: Any, status: int) -> None:
    """`curl -L` takes body and key headers along to whatever host a redirect names."""
    with (
        ScriptedUpstream(tools_only=False) as elsewhere,
        ScriptedUpstream(
            tools_only=False, after=moved(status, elsewhere.url + "/v1/messages")
        ) as upstream,
    ):
        serving = serve(upstream)
        done = subprocess.run(
            [
                "curl", "-sSL", "--max-time", "10", "-H", "x-api-key: bl_keep", "--data-binary",
                PROMPT.decode(), f"{serving.url}/v1/messages",
            ],
            capture_output=True,
            check=True,
        )  # fmt: skip
        assert b"redirects this request" in done.stdout
        assert [] == elsewhere.requests


# What an upstream says of its own name. On ours it would be about ours.
CUT = {
    "Alt-Svc": 'h3=":443"; ma=86400, h2="elsewhere.example:443"',
    "Clear-Site-Data": '"cookies"',
    "NEL": '{"report_to":"cf-nel","max_age":604800}',
    "Refresh": "0; url=https://elsewhere.example/",
    "Report-To": '{"endpoints":[{"url":"https://elsewhere.example"}],"group":"cf-nel"}',
    "Reporting-Endpoints": 'a="https://elsewhere.example"',
    "Set-Cookie": "__cf_bm=x; Path=/; HttpOnly",
    "set-cookie": "bailee_session=chosen-by-the-upstream; Path=/",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "X-Accel-Redirect": "/internal/",
    "X-Sendfile": "/etc/passwd",
    "X-Lighttpd-Send-File": "/etc/passwd",
    "Upgrade": "h2c",
    "Proxy-Authenticate": "Basic",
}
PASSED = {
    "Access-Control-Allow-Origin": "*",
    "Content-Location": "https://elsewhere.example/1",
    "Content-Security-Policy": "default-src 'none'",
    "Link": '<https://elsewhere.example/next>; rel="next"',
    "Location": "https://elsewhere.example/created",
    "WWW-Authenticate": 'Bearer error="invalid_token"',
    "X-Accel-Buffering": "no",
    "Server": "cloudflare",
    "cf-ray": "8e0-FRA",
}


@pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
@pytest.mark.parametrize("status", [201, 401])
def test_what_an_upstream_says_of_its_own_name_ends_here(
    serve: Any, post: Callable[..., bytes], key: str, status: int
) -> None:
    """Cookies, other addresses, rules and reports for a name are cut; what only informs passes, in
    order and spelling: no client follows it by itself with a key.
    """
    pairs = [*CUT.items(), *PASSED.items()]
    mixed = tuple(pairs[0::2] + pairs[1::2])
    reply = Reply(status, mixed, (b'{"a":1}',))
    with ScriptedUpstream(tools_only=False, after=Exactly(reply)) as upstream:
        answer = serve(upstream).connect().send(post(key=key)).answer()
        assert (status, b'{"a":1}') == (answer.status, answer.body)
        own = {"content-length", "connection"}
        passed = [(n, v) for n, v in answer.fields if n.lower() not in own]
        assert [(n, v) for n, v in mixed if n in PASSED] == passed


@pytest.mark.parametrize("through", [True, False], ids=["gateway", "control"])
def test_a_web_server_before_the_gateway_is_sent_nowhere(
    serve: Any,
    raw: Callable[[int], Any],
    post: Callable[..., bytes],
    tmp_path: Path,
    through: bool,
) -> None:
    """A real nginx follows `X-Accel-Redirect` into places that it keeps from the outside. Before
    the gateway it is never told to; before the upstream itself it is, which shows that it would.
    """
    reply = Reply(200, (("X-Accel-Redirect", "/kept-inside"),), (b"{}",))
    with ScriptedUpstream(tools_only=False, after=Exactly(reply)) as upstream:
        behind = serve(upstream).port if through else upstream.port
        with nginx(tmp_path, behind) as port:
            client = raw(port).send(post())
            assert (b"{}" if through else b"an inner place") == client.answer().body
            client.close()


@contextmanager
def nginx(folder: Path, behind: int) -> Iterator[int]:
    """An nginx on loopback with an inner place, which passes everything on to `behind`."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    temporary = " ".join(
        f"{kind}_temp_path {folder};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary}\nserver {{ listen 127.0.0.1:{port};\n"
        "location /kept-inside { internal; return 200 'an inner place'; }\n"
        f"location / {{ proxy_pass http://127.0.0.1:{behind}; }} }} }}\n"
    )
    with subprocess.Popen(
        [program, "-p", str(folder), "-c", str(file)], stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not listens(port):
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def test_an_answer_before_the_answer_is_held_to_the_same(
    raw_upstream: Callable[..., str], serve: Any, post: Callable[..., bytes]
) -> None:
    """103 (Early Hints) is passed on without them."""
    url = raw_upstream(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nSet-Cookie: a=b\r\n"
        b'Alt-Svc: h3="elsewhere:443"\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'
    )
    client = serve(url).connect().send(post())
    seen = client.until(b"{}").lower()
    assert b"103 early hints\r\nlink: </a>; rel=preload\r\n\r\n" in seen
    assert b"cookie" not in seen
    assert b"alt-svc" not in seen


def test_a_connection_is_not_given_to_another_protocol(
    raw_upstream: Callable[..., str], serve: Any, post: Callable[..., bytes]
) -> None:
    """101 to a request that asked for it: the gateway passes no such wish on, and refuses it."""
    url = raw_upstream(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nraw"
    )
    extra = "Connection: upgrade\r\nUpgrade: websocket\r\n"
    answer = serve(url).connect().send(post(extra=extra)).answer()
    assert 502 == answer.status
    assert b"raw" not in answer.body


def test_a_clients_cookies_end_here(serve: Any, post: Callable[..., bytes]) -> None:
    """A cookie is for the gateway's name, which on one machine is the console's too: the provider
    of a model gets none.
    """
    with ScriptedUpstream() as upstream:
        extra = "Cookie: bailee_session=operator\r\nx-a: 1\r\ncookie: c=d\r\n"
        assert 200 == serve(upstream).connect().send(post(extra=extra)).answer().status
        (seen,) = upstream.requests
        assert ("1", None) == (seen.header("x-a"), seen.header("cookie"))
        assert b"operator" not in seen.raw


@pytest.mark.parametrize(
    "line",
    [
        "POST {elsewhere}/v1/messages",
        "POST //{host}/v1/messages",
        "POST /{elsewhere}/v1/messages",
        "POST /v1/messages@{host}",
        "POST /bedrock//{host}/model/m/invoke",
        "POST /vertex/@{host}/v1/projects",
        "CONNECT {host}",
        "POST /v1/messages",
        "GET /v1/models",
    ],
)
@pytest.mark.parametrize("name", ["{host}", "g"])
def test_the_operators_credential_goes_to_the_configured_upstream_alone(
    serve: Any, line: str, name: str
) -> None:
    """However a target or Host is spelt, another host gets no connection; what the upstream gets
    names the upstream.
    """
    with ScriptedUpstream() as elsewhere, ScriptedUpstream() as upstream:
        host = f"127.0.0.1:{elsewhere.port}"
        given = (line + "|" + name).format(elsewhere=elsewhere.url, host=host).split("|")
        request = (
            f"{given[0]} HTTP/1.1\r\nHost: {given[1]}\r\nx-api-key: bl_keep\r\n"
            f"Forwarded: host={host}\r\nX-Forwarded-Host: {host}\r\nContent-Length: 2\r\n\r\n[]"
        )
        serve(upstream).connect().send(request.encode()).answer()
        assert 0 == elsewhere.connections
        for seen in upstream.requests:
            assert seen.target.startswith("/")
            assert upstream.url.removeprefix("http://") == seen.header("host")
