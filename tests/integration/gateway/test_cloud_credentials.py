"""The calls that fetch the clouds' credentials take the upstreams' way out, and follow nobody."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bailee.gateway.credentials import Bedrock, Vertex
from bailee.gateway.way_out import proxy_variables, way_out
from bailee.outbound.network import Network
from bailee.testing.upstream import Exactly, Failure, Received, Reply, ScriptedUpstream
from support.servers.corporate_network import free_port, squid_with_password

pytestmark = pytest.mark.row("D2")

SECRET = "p@ss:w/rd %"
HOST = "bailee.example"
MESSAGES = "/vertex/projects/p/locations/l/publishers/anthropic/models/claude-x:rawPredict"
STS = b"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKIDFROMSTS</AccessKeyId>
<SecretAccessKey>s</SecretAccessKey><SessionToken>the-session-token</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""
REFUSED = b"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>
<Type>Sender</Type><Code>AccessDenied</Code><Message>from-the-cloud</Message></Error></ErrorResponse>"""


class Tokens:
    """Answers as both clouds' token endpoints do."""

    def reply(self, request: Received) -> Reply:
        """See `Turn.reply`."""
        if b"AssumeRole" in request.body:
            return Reply(200, (("content-type", "text/xml"),), (STS,))
        token = {"access_token": "ya29.fetched", "expires_in": 3600, "token_type": "Bearer"}
        return Reply(parts=(json.dumps(token).encode(),))


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    """A private authority, whose certificate is in ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority


@pytest.fixture
def tokens(ca: trustme.CA) -> Iterator[ScriptedUpstream]:
    """A token endpoint of both clouds that wants a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(HOST, "localhost").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    with ScriptedUpstream(tools_only=False, after=Tokens(), ssl_context=context) as scripted:
        yield scripted


@pytest.fixture
def leaving(ca: trustme.CA, tmp_path: Path) -> Callable[..., Network]:
    """Makes ways out with the authority and a client certificate."""
    issued = ca.issue_cert("gateway@company.example")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))

    def make(proxy: str = "off", login: str | None = None) -> Network:
        return way_out(
            ca_file=tmp_path / "ca.pem",
            client_cert=tmp_path / "client.pem",
            proxies=proxy_variables(proxy, login, {}),
        )

    return make


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has Google's library find a service account whose tokens come from an address."""

    def find(token_url: str) -> None:
        key = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "type": "service_account", "client_email": "a@b.example", "token_uri": token_url,
            "private_key": key.decode(), "project_id": "p", "private_key_id": "1",
        }  # fmt: skip
        file = tmp_path / "account.json"
        file.write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    return find


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has AWS's library find a web identity whose credentials come from an address."""

    def find(sts: str) -> None:
        (tmp_path / "identity").write_text("the-web-identity")
        for name, value in {
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "identity"),
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/gateway",
            "AWS_ENDPOINT_URL_STS": sts,
            "AWS_REGION": "eu-central-1",
            "AWS_MAX_ATTEMPTS": "1",
            # What the environment says counts only if upstream.proxy is `env`.
            "HTTPS_PROXY": f"http://127.0.0.1:{free_port()}",
        }.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_BEARER_TOKEN_BEDROCK", "AWS_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)

    return find


def test_googles_token_comes_by_the_way_out(
    serve: Any,
    post: Callable[..., bytes],
    tokens: ScriptedUpstream,
    leaving: Callable[..., Network],
    google: Callable[[str], None],
) -> None:
    """Through a proxy with a password, a private authority, and with the client certificate."""
    google(f"https://{HOST}:{tokens.port}/token")
    with squid_with_password("ada", SECRET) as proxy, ScriptedUpstream() as upstream:
        way = leaving(f"http://127.0.0.1:{proxy.port}", f"ada:{SECRET}")
        serving = serve(upstream, settings={"credential": Vertex(way)})
        for _ in range(2):
            client = serving.connect().send(
                post(path=MESSAGES, extra="x-goog-user-project: other\r\nX-Goog-Api-Key: k\r\n")
            )
            assert 200 == client.answer().status
    assert ["/token"] == [request.target for request in tokens.requests]
    assert any(f"CONNECT {HOST}:{tokens.port} ada" in line for line in proxy.lines)
    for seen in upstream.requests:
        assert "Bearer ya29.fetched" == seen.header("authorization")
        assert seen.header("x-goog-user-project") is None
        assert seen.header("x-goog-api-key") is None


def test_awss_credentials_come_by_the_way_out(
    serve: Any,
    post: Callable[..., bytes],
    tokens: ScriptedUpstream,
    leaving: Callable[..., Network],
    aws: Callable[[str], None],
) -> None:
    """The same with STS."""
    aws(f"https://{HOST}:{tokens.port}")
    with squid_with_password("ada", SECRET) as proxy, ScriptedUpstream() as upstream:
        way = leaving(f"http://127.0.0.1:{proxy.port}", f"ada:{SECRET}")
        serving = serve(upstream, settings={"credential": Bedrock(None, way)})
        client = serving.connect().send(post(path="/bedrock/model/anthropic.claude-x/invoke"))
        assert 200 == client.answer().status
    assert 1 == len(tokens.requests)
    assert any(f"CONNECT {HOST}:{tokens.port} ada" in line for line in proxy.lines)
    (seen,) = upstream.requests
    assert "the-session-token" == seen.header("x-amz-security-token")
    assert "Credential=AKIDFROMSTS/" in (seen.header("authorization") or "")


def test_without_a_proxy_they_go_straight(
    serve: Any,
    post: Callable[..., bytes],
    tokens: ScriptedUpstream,
    leaving: Callable[..., Network],
    google: Callable[[str], None],
    aws: Callable[[str], None],
) -> None:
    """`off` is off, whatever the environment names."""
    google(f"https://localhost:{tokens.port}/token")
    aws(f"https://localhost:{tokens.port}")
    for credential, path in (
        (Vertex(leaving()), MESSAGES),
        (Bedrock(None, leaving()), "/bedrock/model/anthropic.claude-x/invoke"),
    ):
        with ScriptedUpstream() as upstream:
            serving = serve(upstream, settings={"credential": credential})
            assert 200 == serving.connect().send(post(path=path)).answer().status
    assert 2 == len(tokens.requests)


@pytest.mark.parametrize("status", [302, 307, 308])
@pytest.mark.parametrize("cloud", ["google", "aws"])
def test_a_token_endpoint_that_redirects_gets_no_further(
    serve: Any,
    post: Callable[..., bytes],
    google: Callable[[str], None],
    aws: Callable[[str], None],
    cloud: str,
    status: int,
) -> None:
    """What proves the gateway to its cloud goes to the address that was configured alone."""
    with ScriptedUpstream(tools_only=False) as elsewhere, ScriptedUpstream() as upstream:
        moved = Exactly(Reply(status, (("Location", elsewhere.url + "/token"),), (b"{}",)))
        with ScriptedUpstream(tools_only=False, after=moved) as endpoint:
            google(endpoint.url + "/token")
            aws(endpoint.url)
            credential: Any = Vertex() if cloud == "google" else Bedrock()
            path = MESSAGES if cloud == "google" else "/bedrock/model/anthropic.claude-x/invoke"
            serving = serve(upstream, settings={"credential": credential})
            answer = serving.connect().send(post(path=path)).answer()
            assert 502 == answer.status
            assert "upstream_credential" == serving.summary().error
            assert endpoint.requests
    assert [] == elsewhere.requests
    assert [] == upstream.requests


@pytest.mark.parametrize(
    "answer",
    [
        Exactly(Reply(403, (("content-type", "text/xml"),), (REFUSED,))),
        Failure(500, "from-the-cloud"),
        Exactly(Reply(200, (("content-type", "text/xml"),), (STS[:-40],))),
    ],
    ids=["refused", "not its format", "cut, with credentials in it"],
)
def test_a_credential_that_can_not_be_had_is_an_error_and_not_a_silence(
    serve: Any,
    post: Callable[..., bytes],
    aws: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
    answer: Any,
) -> None:
    """Whatever the library makes of it: 502 in the API's shape, and no word of it in a log."""
    caplog.set_level(logging.DEBUG)
    with ScriptedUpstream(tools_only=False, after=answer) as sts, ScriptedUpstream() as upstream:
        aws(sts.url)
        serving = serve(upstream, settings={"credential": Bedrock()})
        got = serving.connect().send(post(path="/bedrock/model/anthropic.claude-x/invoke")).answer()
        assert [] == upstream.requests
    assert (502, "upstream_credential") == (got.status, serving.summary().error)
    for place in (got.body.decode(), caplog.text):
        assert "from-the-cloud" not in place
        assert "the-session-token" not in place
