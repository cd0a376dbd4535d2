"""Out of a company's network: real proxies, private authorities, and client certificates."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from bailee.errors import InputError
from bailee.gateway.settings import GatewayLimits
from bailee.gateway.way_out import proxy_variables, way_out
from bailee.testing.upstream import ScriptedUpstream
from support.servers.corporate_network import (
    free_port,
    opening_proxy,
    receiver,
    squid,
    squid_with_password,
)

pytestmark = pytest.mark.row("D2")

SECRET = "p@ss:w/rd %"
HOST = "bailee.example"  # only squid knows where it is


@dataclass(frozen=True)
class Place:
    """An authority, and files."""

    authority: trustme.CA
    folder: Path

    @property
    def ca_file(self) -> Path:
        """The authority's certificate."""
        return self.folder / "ca.pem"

    def context(self, *names: str, wants_certificate: bool = False) -> ssl.SSLContext:
        """For a server that has a certificate of the authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            self.authority.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One authority for all."""
    made = Place(trustme.CA(), tmp_path_factory.mktemp("way-out"))
    made.authority.cert_pem.write_to_path(str(made.ca_file))
    return made


@pytest.fixture
def upstream(place: Place) -> Iterator[ScriptedUpstream]:
    """A model under TLS, with a certificate for the name that only the proxy can resolve."""
    with ScriptedUpstream(tools_only=False, ssl_context=place.context(HOST)) as scripted:
        yield scripted


def way(
    place: Place, proxy: str, login: str | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The settings of an upstream behind a proxy."""
    variables = proxy_variables(proxy, login, environment or {})
    return {"way_out": way_out(ca_file=place.ca_file, proxies=variables)}


def check_refused(answer: Any, *says: str) -> None:
    """502 in the API's error shape, for the operator, without a secret."""
    assert 502 == answer.status
    message = json.loads(answer.body)["error"]["message"]
    for one in (*says, "hint: whoever runs this gateway"):
        assert one in message
    assert SECRET not in message
    assert "sk-upstream" not in message


# -- proxies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
def test_a_proxy_with_a_password(
    serve: Any,
    post: Callable[..., bytes],
    place: Place,
    upstream: ScriptedUpstream,
    key: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two exchanges pass one tunnel, whole; the proxy sees a host, a port and its own user."""
    caplog.set_level(logging.DEBUG)
    body = b'{"messages":[],"x":"' + b"y" * 400_000 + b'"}'
    with squid_with_password("ada", SECRET) as proxy:
        address = f"http://127.0.0.1:{proxy.port}"
        settings = way(place, address, f"ada:{SECRET}")
        serving = serve(f"https://{HOST}:{upstream.port}", settings=settings)
        client = serving.connect()
        for _ in range(2):
            assert 200 == client.send(post(body, key=key)).answer().status
        serving.stop()
    assert [body, body] == [seen.body for seen in upstream.requests]
    assert {"sk-upstream"} == {seen.header("x-api-key") for seen in upstream.requests}
    assert [None, None] == [seen.header("proxy-authorization") for seen in upstream.requests]
    (line,) = [line for line in proxy.lines if "CONNECT" in line]
    assert f"CONNECT {HOST}:{upstream.port} ada " in line
    assert SECRET not in caplog.text
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("login", "says"),
    [
        (None, ["wants a user and password (407)", "upstream.proxy_login_env"]),
        ("ada:wrong", ["refuses its user and password (407)"]),
    ],
)
def test_a_proxy_that_does_not_know_us(
    serve: Any,
    post: Callable[..., bytes],
    place: Place,
    upstream: ScriptedUpstream,
    login: str | None,
    says: list[str],
) -> None:
    """Nothing reaches the upstream; the operator reads what to set."""
    with squid_with_password("ada", SECRET) as proxy:
        settings = way(place, f"http://127.0.0.1:{proxy.port}", login)
        serving = serve(f"https://{HOST}:{upstream.port}", settings=settings)
        check_refused(serving.connect().send(post()).answer(), *says)
        assert "upstream_proxy" == serving.summary().error
    assert 0 == upstream.connections


def test_a_proxy_that_refuses(
    serve: Any, post: Callable[..., bytes], place: Place, upstream: ScriptedUpstream
) -> None:
    """403: the proxy's owner must act."""
    with squid("http_access deny all") as proxy:
        settings = way(place, f"127.0.0.1:{proxy.port}")
        serving = serve(f"https://{HOST}:{upstream.port}", settings=settings)
        answer = serving.connect().send(post()).answer()
        check_refused(answer, "refused to connect to the upstream (403)", "have the proxy allow")


def test_an_upstream_that_the_proxy_can_not_reach(
    serve: Any, post: Callable[..., bytes], place: Place
) -> None:
    """503 of the proxy is not taken for an answer of the upstream."""
    with squid() as proxy:
        settings = way(place, f"http://127.0.0.1:{proxy.port}")
        serving = serve(f"https://{HOST}:{free_port()}", settings=settings)
        answer = serving.connect().send(post()).answer()
        check_refused(answer, "could not reach the upstream (503)")


SAYS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "closed without an answer"),
    "no HTTP": (b"SSH-2.0-x\r\n\r\n", "not valid HTTP"),
    "more than its answer": (b"HTTP/1.1 200 OK\r\n\r\nmore", "not valid HTTP"),
    "without end": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000, "not valid HTTP"),
    "elsewhere": (
        b"HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\ncontent-length: 0\r\n\r\n",
        "refused to connect to the upstream (302)",
    ),
}


@pytest.mark.parametrize("name", SAYS)
def test_a_proxy_that_is_none(
    serve: Any,
    raw_upstream: Callable[..., str],
    post: Callable[..., bytes],
    place: Place,
    name: str,
) -> None:
    """Whatever it says, it is an error of the proxy's."""
    said, why = SAYS[name]
    settings = way(place, raw_upstream(said, close=True))
    serving = serve(f"https://{HOST}:443", settings=settings)
    check_refused(serving.connect().send(post()).answer(), why)


def test_a_proxy_that_is_not_there_or_mute(
    serve: Any, post: Callable[..., bytes], place: Place
) -> None:
    """502 at once; 504 in time."""
    settings = way(place, f"http://127.0.0.1:{free_port()}")
    serving = serve(f"https://{HOST}:443", settings=settings)
    check_refused(serving.connect().send(post()).answer(), "The proxy can't be reached")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings = way(place, f"http://127.0.0.1:{mute.getsockname()[1]}")
        limits = GatewayLimits(ping=0, upstream_connect=0.2)
        serving = serve(f"https://{HOST}:443", settings=settings, limits=limits)
        answer = serving.connect().send(post()).answer()
        assert 504 == answer.status
        assert b"proxy" in answer.body


def test_a_proxy_under_tls(
    serve: Any, post: Callable[..., bytes], place: Place, upstream: ScriptedUpstream
) -> None:
    """TLS to the proxy, and TLS to the upstream inside of it."""
    with squid_with_password("ada", SECRET) as proxy, _under_tls(place, proxy.port) as port:
        settings = way(place, f"https://localhost:{port}", f"ada:{SECRET}")
        serving = serve(f"https://{HOST}:{upstream.port}", settings=settings)
        body = b'{"x":"' + b"y" * 300_000 + b'"}'
        client = serving.connect()
        assert [200, 200] == [client.send(post(body)).answer().status for _ in range(2)]
    assert [body, body] == [seen.body for seen in upstream.requests]


def test_a_proxy_that_opens_tls(
    serve: Any, post: Callable[..., bytes], place: Place, tmp_path: Path
) -> None:
    """With the company's authority it works; without, the error names the setting."""
    public = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    public.issue_cert(HOST).configure_cert(context)
    with (
        ScriptedUpstream(tools_only=False, ssl_context=context) as scripted,
        opening_proxy(place.authority, public) as opening,
    ):
        address = f"http://127.0.0.1:{opening.port}"
        url = f"https://{HOST}:{scripted.port}"
        serving = serve(url, settings=way(place, address))
        assert 200 == serving.connect().send(post()).answer().status
        (tmp_path / "other.pem").write_bytes(trustme.CA().cert_pem.bytes())
        unknown = way_out(ca_file=tmp_path / "other.pem", proxies={"HTTPS_PROXY": address})
        answer = serve(url, settings={"way_out": unknown}).connect().send(post()).answer()
        assert 502 == answer.status
        assert b"upstream.ca_file" in answer.body
    assert 1 == len(scripted.requests)


@pytest.mark.parametrize("exception", ["localhost", ".example,localhost:*, 127.0.0.0/8", "*"])
def test_what_no_proxy_excepts_is_reached_straight(
    serve: Any, post: Callable[..., bytes], place: Place, exception: str
) -> None:
    """And so is loopback, whoever named the proxy."""
    with ScriptedUpstream(ssl_context=place.context("localhost")) as scripted:
        dead = {"HTTPS_PROXY": f"http://127.0.0.1:{free_port()}", "NO_PROXY": exception}
        for proxy in ("env", dead["HTTPS_PROXY"]):
            settings = way(place, proxy, None, dead)
            serving = serve(f"https://localhost:{scripted.port}", settings=settings)
            assert 200 == serving.connect().send(post()).answer().status


# -- client certificates ---------------------------------------------------------------------------


@pytest.fixture
def strict(place: Place) -> Iterator[ScriptedUpstream]:
    """A model that talks only to whom the authority knows."""
    context = place.context("localhost", wants_certificate=True)
    with ScriptedUpstream(tools_only=False, ssl_context=context) as scripted:
        yield scripted


def _certificate(place: Place, folder: Path, form: str) -> dict[str, Any]:
    """A client certificate in the forms that companies hand out."""
    issued = place.authority.issue_cert("gateway@company.example")
    chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    key = issued.private_key_pem.bytes()
    certificate, private = folder / "client.pem", folder / "client.key"
    if form == "one file":
        certificate.write_bytes(key + chain)
        return {"client_cert": certificate}
    certificate.write_bytes(chain)
    private.write_bytes(key)
    if form == "two files":
        return {"client_cert": certificate, "client_key": private}
    sealed = folder / "sealed.key"
    command = ["openssl", "pkey", "-aes256", "-passout", f"pass:{SECRET}"]
    subprocess.run([*command, "-in", private, "-out", sealed], check=True)
    return {"client_cert": certificate, "client_key": sealed, "passphrase": SECRET}


@pytest.mark.parametrize("form", ["one file", "two files", "sealed"])
@pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
def test_an_upstream_that_wants_a_certificate_gets_it(
    serve: Any,
    post: Callable[..., bytes],
    place: Place,
    strict: ScriptedUpstream,
    tmp_path: Path,
    form: str,
    key: str,
) -> None:
    """In one file or two, with a passphrase or without."""
    out = way_out(ca_file=place.ca_file, **_certificate(place, tmp_path, form))
    serving = serve(f"https://localhost:{strict.port}", settings={"way_out": out})
    assert 200 == serving.connect().send(post(key=key)).answer().status
    assert 1 == len(strict.requests)
    assert SECRET not in repr(out)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_upstream_that_wants_a_certificate_and_gets_none(
    serve: Any, post: Callable[..., bytes], place: Place, version: ssl.TLSVersion
) -> None:
    """The error names the setting. Under TLS 1.3 the refusal comes only after the request."""
    context = place.context("localhost", wants_certificate=True)
    context.maximum_version = version
    with receiver(context) as receiving:
        settings = {"way_out": way_out(ca_file=place.ca_file)}
        serving = serve(receiving.url("https", "localhost"), settings=settings)
        answer = serving.connect().send(post()).answer()
        assert 502 == answer.status
        assert b"upstream.client_cert" in answer.body
        assert [] == receiving.received


def test_files_that_can_not_be_used_end_the_start(place: Place, tmp_path: Path) -> None:
    """A missing file, another key, a wrong passphrase: nothing asks, nothing hangs."""
    sealed = _certificate(place, tmp_path, "sealed")
    other = tmp_path / "other.key"
    other.write_bytes(trustme.CA().issue_cert("x").private_key_pem.bytes())
    for wrong in (
        {"ca_file": tmp_path / "none"},
        {"client_cert": tmp_path / "none"},
        {**sealed, "client_key": other},
        {**sealed, "passphrase": ""},
        {**sealed, "passphrase": "other"},
        {"client_key": other},
    ):
        with pytest.raises(InputError) as refused:
            way_out(**wrong).tls()
        assert "configuration" == refused.value.code
        assert SECRET not in str(refused.value)


@contextlib.contextmanager
def _under_tls(place: Place, port: int) -> Iterator[int]:
    """A port of loopback that carries TLS to another one as plain bytes."""
    context = place.context("localhost")

    def carry(near: ssl.SSLSocket) -> None:
        with (
            contextlib.suppress(OSError),
            near,
            socket.create_connection(("127.0.0.1", port)) as far,
        ):
            near.settimeout(0.02)

            def back() -> None:
                with contextlib.suppress(OSError):
                    while data := far.recv(65536):
                        near.sendall(data)

            threading.Thread(target=back, daemon=True).start()
            while True:
                try:
                    data = near.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    return
                far.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listening.accept()
                    near = context.wrap_socket(sock, server_side=True)
                    threading.Thread(target=carry, args=(near,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
