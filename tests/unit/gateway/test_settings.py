"""Binds, upstream addresses and credentials."""

from __future__ import annotations

import asyncio

import pytest

from bailee.errors import InputError
from bailee.gateway.credentials import (
    Bedrock,
    FixedKey,
    KeyForm,
    NoCredential,
    default_url,
    split_url,
)
from bailee.gateway.settings import check_bind, check_upstream


@pytest.mark.row("D1")
@pytest.mark.parametrize(
    "host", ["0.0.0.0", "10.1.2.3", "::", "gateway.example", "", "127.0.0.1.x"]
)
def test_plain_http_that_others_can_reach_is_refused(host: str) -> None:
    """With a hint; under TLS any address will do."""
    with pytest.raises(InputError) as refused:
        check_bind(host, tls=False)
    assert ("configuration", True) == (refused.value.code, "--tls-cert" in str(refused.value.hint))
    check_bind(host, tls=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_tls(host: str) -> None:
    """Nobody else can reach it."""
    check_bind(host, tls=False)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://api.example.com", (True, "api.example.com", 443, "")),
        ("http://127.0.0.1:8080/a/b/", (False, "127.0.0.1", 8080, "/a/b")),
        ("http://[::1]:1", (False, "::1", 1, "")),
    ],
)
def test_upstream_addresses(url: str, parts: tuple[bool, str, int, str]) -> None:
    """TLS, host, port, path."""
    assert parts == split_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "ftp://a",
        "http://",
        "http://user:secret@a",
        "http://a?b",
        "http://a#b",
        "http://a:99999999",
        "http://a/\r\nX: y",
        "http://\u00e9.example",
    ],
)
def test_other_upstream_addresses_are_refused(url: str) -> None:
    """With a hint, and without repeating what may hold a password."""
    with pytest.raises(InputError) as refused:
        split_url(url)
    assert "secret" not in str(refused.value)


def test_api_keys_as_header_lines() -> None:
    """As x-api-key or as a bearer; one that would break a header is refused."""
    assert b"x-api-key: k\r\n" == FixedKey("k").fixed
    assert b"Authorization: Bearer k\r\n" == FixedKey("k", KeyForm.BEARER).fixed
    assert b"x-goog-api-key: k\r\n" == FixedKey("k", KeyForm.X_GOOG_API_KEY).fixed
    assert b"api-key: k\r\n" == FixedKey("k", KeyForm.API_KEY).fixed
    assert b"" == NoCredential().fixed
    for bad in ("", "a\r\nb", "\u00e9"):
        with pytest.raises(InputError):
            FixedKey(bad)


def test_bedrock_signs_or_sends_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bearer token when it is set; else Signature Version 4 over the whole body."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "tok")
    assert (b"Authorization: Bearer tok\r\n", False) == (Bedrock().fixed, Bedrock().needs_body)
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    signer = Bedrock("eu-west-1")
    assert (None, True) == (signer.fixed, signer.needs_body)
    url = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/a%3A0/invoke"
    lines = asyncio.run(signer.lines("POST", url, b"{}"))
    assert b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" in lines
    assert b"/eu-west-1/bedrock/aws4_request" in lines
    assert b"not-a-secret" not in lines
    other = asyncio.run(signer.lines("POST", url, b"{ }"))
    assert lines.partition(b"Signature=")[2] != other.partition(b"Signature=")[2]


def test_regions_give_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the clouds' own SDKs read them; none is an error that says which to set."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("CLOUD_ML_REGION", "global")
    assert "https://bedrock-runtime.eu-west-1.amazonaws.com" == default_url("bedrock")
    assert "https://aiplatform.googleapis.com" == default_url("vertex")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "CLOUD_ML_REGION"):
        monkeypatch.delenv(name, raising=False)
    for channel, name in (("bedrock", "AWS_REGION"), ("vertex", "CLOUD_ML_REGION")):
        with pytest.raises(InputError, match="region") as refused:
            default_url(channel)
        assert name in str(refused.value.hint)


@pytest.mark.row("D1")
@pytest.mark.parametrize("url", ["http://model.corp.example:4000", "http://10.0.0.7", "HTTP://x"])
def test_an_upstream_that_others_can_read_is_refused(url: str) -> None:
    """Plain HTTP to another host, with what to do; to this one, and under TLS, it is fine."""
    with pytest.raises(InputError, match="readable"):
        check_upstream(url)
    for fine in ("http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9", "https://x.example"):
        assert fine == check_upstream(fine)
