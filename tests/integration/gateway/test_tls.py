"""TLS on both sides, with certificates of a private CA."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from bailee.clock import system_clock
from bailee.errors import InputError
from bailee.gateway.server import Gateway
from bailee.gateway.settings import GatewayConfig
from bailee.gateway.tls import server_context
from bailee.gateway.way_out import way_out
from bailee.testing.recording import MemoryRecording
from bailee.testing.upstream import ScriptedUpstream, Text

pytestmark = pytest.mark.row("D1")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost, with its own authority's behind it, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    chain, key = folder / "cert.pem", folder / "key.pem"
    issued.private_key_pem.write_to_path(str(key))
    pems = [*issued.cert_chain_pems, authority.cert_pem]
    chain.write_bytes(b"".join(pem.bytes() for pem in pems))
    return chain, key


@pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
def test_both_sides_under_tls(
    serve: Any, post: Callable[..., bytes], certificate: tuple[Path, Path], key: str
) -> None:
    """Large bodies and streams pass, through a listener and an upstream under TLS."""
    context = server_context(*certificate)
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    upstream_context = server_context(*certificate)
    with ScriptedUpstream([Text("x" * 20_000)], ssl_context=upstream_context) as upstream:
        serving = serve(
            upstream, context=context, settings={"way_out": way_out(ca_file=certificate[0])}
        )
        body = b'{"stream":true,"tools":[1],"x":"' + b"y" * 3_000_000 + b'"}'
        answer = serving.connect(trust).send(post(body, key=key)).answer()
        assert (200, True) == (answer.status, answer.complete)
        assert body == upstream.requests[0].body


def test_an_upstream_is_checked(
    serve: Any, post: Callable[..., bytes], certificate: tuple[Path, Path]
) -> None:
    """An unknown certificate is an error with a hint, and nothing is sent."""
    with ScriptedUpstream(ssl_context=server_context(*certificate)) as upstream:
        answer = serve(upstream).connect().send(post()).answer()
        assert 502 == answer.status
        assert b"CA file" in answer.body
        assert [] == upstream.requests


def test_old_tls_is_refused(serve: Any, certificate: tuple[Path, Path]) -> None:
    """Nothing under 1.2."""
    assert ssl.TLSVersion.TLSv1_2 == server_context(*certificate).minimum_version


def test_plain_http_that_others_can_reach_is_refused() -> None:
    """A bind to any address that is not loopback needs TLS."""

    async def start() -> None:
        gateway = Gateway(
            GatewayConfig(),
            None,
            MemoryRecording(),
            system_clock,
            lambda summary: None,  # type: ignore[arg-type]
        )
        await gateway.start("0.0.0.0", 0)

    with pytest.raises(InputError) as refused:
        asyncio.run(start())
    assert "configuration" == refused.value.code
    assert "--tls-cert" in str(refused.value.hint)


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    """A missing or wrong file is an input error with a hint."""
    (tmp_path / "a").write_text("not PEM")
    with pytest.raises(InputError):
        server_context(tmp_path / "a", tmp_path / "a")
    with pytest.raises(InputError):
        server_context(tmp_path / "none", tmp_path / "none")
