"""Secrets are found and masked, in a report and in an issue; nothing else of a text changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.client.bug_report import PARTS, draft, issue
from bailee.client.scrubbing import find, masked
from bailee.errors import InputError

# Put together here so that no scanner takes this file for a leak.
PLANTED: dict[str, str] = {
    "AWS access key": "AKIA" + "QUINCEPEARAPPLE7",
    "AWS secret key": "wJalrXUtnFEMIK7MDENGbPx" + "RfiCYQUINCEKEY0PE",
    "GitHub token": "ghp_" + "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3d",
    "GitLab token": "glpat-" + "Ab3dEf6hIj9kLm2nOp5q",
    "Slack token": "xoxb-" + "123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
    "Stripe key": "sk_live_" + "AbCdEfGhIjKlMnOpQrStUvWx",
    "Anthropic key": "sk-ant-" + "api03-AbCdEfGhIjKlMnOpQrStUvWx-yz",
    "OpenAI key": "sk-proj-" + "AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "Google key": "AIza" + "SyAbCdEfGhIjKlMnOpQrStUvWxYz0123456",
    "JSON Web Token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    + "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkFubiJ9.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "PyPI token": "pypi-" + "AgEIcHlwaS5vcmc" + "CJDU3ZTk0" * 9,
    "SendGrid key": "SG."
    + "AbCdEfGhIjKlMnOpQrStUv."
    + "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfG",
    "bailee key": "bl_" + "AbCdEfGhIjKlMnOpQrStUvWxYz",
    "password in an address": "hunter2pears",
    "private key": "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nBG5vbmU=\n"
    "-----END OPENSSH " + "PRIVATE KEY-----",
    "password or key": "correct-horse-7-battery",
}
AROUND = {
    "AWS secret key": "aws_secret_access_key = {}",
    "password in an address": "postgres://ann:{}@db.example/orchard",
    "password or key": "DB_PASSWORD={}",
}


def written(kind: str) -> str:
    """A secret as it stands in a session."""
    return "see: " + AROUND.get(kind, "{}").format(PLANTED[kind]) + " and so on"


@pytest.mark.parametrize("kind", PLANTED)
def test_each_kind_is_found(kind: str) -> None:
    """Sixteen kinds, each in the surroundings in which it occurs."""
    secrets = find(written(kind))

    assert PLANTED[kind] in [one.value for one in secrets]
    assert PLANTED[kind] not in masked(written(kind), secrets)


def test_a_report_with_all_of_them_holds_none() -> None:
    """In every part, in nested tool calls, and where only the value stands."""
    transcript: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": written(kind)}]} for kind in PLANTED
    ]
    transcript += [
        {"role": "assistant", "content": [{"type": "tool_use", "input": {"command": f"echo {v}"}}]}
        for v in PLANTED.values()
    ]
    made = draft(
        "\n".join(map(written, PLANTED)),
        transcript=transcript,
        errors=[written(kind) for kind in PLANTED],
        environment={"model": PLANTED["bailee key"]},
    )
    body = made.payload().body.decode()
    inner = json.loads(json.loads(body)["content"])

    for value in PLANTED.values():
        for text in (body, made.preview, json.dumps(inner), json.dumps(inner, ensure_ascii=False)):
            assert value not in text
            assert json.dumps(value)[1:-1] not in text
    assert set(PARTS) == set(inner)


def test_the_preview_is_what_goes() -> None:
    """Every text of the request stands in the preview, and the preview has nothing more."""
    made = draft(
        "It\nstopped. DB_PASSWORD=hunter2hunter2",
        transcript=[{"role": "user", "content": '梨 \\ " count'}],
        errors=["KeyError"],
        environment={"bailee": "0.1.0"},
    )
    content = json.loads(json.loads(made.payload().body)["content"])

    assert made.content == content
    rest = made.preview
    for part in PARTS:
        value = content[part]
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
        head, found, rest = rest.partition(text)
        assert found == text
        assert head.strip().strip("─").strip() == part
    assert "" == rest.strip()


def test_parts_can_be_left_out_and_secrets_kept_on_purpose() -> None:
    """What is left out is not in the request; a secret goes only when it is named."""
    secret = PLANTED["GitHub token"]
    made = draft(f"token {secret}", transcript=[{"role": "user", "content": "quince"}])
    (found,) = made.secrets

    assert "quince" not in made.without("transcript").payload().body.decode()
    assert secret not in made.payload().body.decode()
    assert secret in made.keeping(found.number).payload().body.decode()
    assert "quince" in made.without("transcript").with_("transcript").payload().body.decode()
    with pytest.raises(InputError):
        made.keeping(99)
    with pytest.raises(InputError):
        made.without(*PARTS).payload()


def test_nothing_is_shown_of_a_secret_but_its_beginning() -> None:
    """Neither its mask nor its representation tells it."""
    for secret in find(*map(written, PLANTED)):
        assert secret.value not in repr(secret)
        assert secret.value not in secret.mask
        assert len(secret.beginning) <= 5


def test_an_issue_has_no_transcript_and_no_secrets() -> None:
    """What the person writes into it afterwards is scrubbed as well, and so is its address."""
    made = issue(
        "bailee/bailee",
        f"Crash with {PLANTED['Slack token']}\nmore",
        errors=["KeyError: 'x'"],
        environment={"bailee": "0.1.0"},
    )
    again = made.edited(f"Crash {PLANTED['Stripe key']}", made.body + written("JSON Web Token"))

    for one in (made, again):
        text = one.title + one.body + one.url
        assert [] == [kind for kind, value in PLANTED.items() if value in text]
        assert one.url.startswith("https://github.com/bailee/bailee/issues/new?title=")
    assert ["Slack token"] == [one.kind for one in made.removed]


@pytest.mark.parametrize("repository", ["bailee", "a/b/c", "../x", "a/..", "a b/c", "/x"])
def test_a_repository_is_owner_and_name(repository: str) -> None:
    """Anything else could make the address lead elsewhere."""
    with pytest.raises(InputError):
        issue(repository, "x")


@pytest.mark.parametrize("size", [0, 5_000, 100_000])
def test_a_long_issue_fits_an_address(size: int) -> None:
    """The address stays within what servers take, whatever the body."""
    assert len(issue("a/b", "梨" * size).url) <= 7_500


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 4096, and the token budget is 30 days",
        "def password(self) -> str:\n    return self._ask('Password: ')",
        "commit 3b18e512dba79e4c8300dd08aeb37f8e728b8dad",
        "https://example.com/orchard?page=2",
        "the secret of a good pear is patience",
        "task-force sk-x disk-usage",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    """What is no secret is not taken for one."""
    assert () == find(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(values, st.sampled_from(sorted(PLANTED)))
def test_masking_keeps_the_rest(value: Any, kind: str) -> None:
    """Whatever the shape around it: the secret is gone, and without one nothing changes."""
    held = {"rest": value, "at": [written(kind)]}
    secrets = find(held)

    assert PLANTED[kind] not in json.dumps(masked(held, secrets))
    assert masked(value, ()) == value
    assert masked(held, secrets)["rest"] == value or find(value)


def test_a_secret_that_begins_like_another_is_masked_whole() -> None:
    """The longer one is taken first, so that no end of it stays."""
    short = "hunter2" * 3
    secrets = find(f"A_PASSWORD={short}\nB_PASSWORD={short}-and-more9")

    assert "and-more9" not in masked(f"{short} {short}-and-more9", secrets)
    assert short not in masked(f"{short} {short}-and-more9", secrets)
