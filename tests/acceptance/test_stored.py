"""An account that has as much on disk as it may: what the operator and a client see of it."""

from __future__ import annotations

import json
import random
import urllib.error

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.clients.programs import Bailee, message

pytestmark = pytest.mark.row("G1")


def test_an_account_is_held_to_its_limit(bailee: Bailee, upstream: ScriptedUpstream) -> None:
    """Over it: refused with who must act, and nothing goes upstream. A deletion lets in again, and
    so does the operator. Lists and the audit record say so.
    """
    bailee.up("--upstream", upstream.url)
    message(bailee.ready, random.Random(1).randbytes(1 << 20).hex())
    (session,) = bailee.sessions()
    (account,) = bailee.json("account", "list")
    assert account["stored_bytes"] > 1 << 20
    assert 0 == account["stored_mb"]
    shown = bailee.run("account", "show", account["account"])
    assert "kept 2 MiB, waiting 0 MiB of 1024, telemetry 0 MiB of 4096" in shown.stdout

    told = bailee.run("account", "limit", account["account"], "--stored-mb", "1")
    assert (0, "") == (told.returncode, told.stderr)
    assert "2 MiB of 1 on disk" in told.stdout
    before = len(upstream.requests)
    with pytest.raises(urllib.error.HTTPError) as refused:
        message(bailee.ready, "more")
    said = json.loads(refused.value.read())["error"]["message"]
    assert (429, "false") == (refused.value.code, refused.value.headers["x-should-retry"])
    assert "delete sessions" in said
    assert "bailee account limit" in said
    assert before == len(upstream.requests)

    bailee.json("sessions", "delete", session["id"])
    message(bailee.ready, "more")
    bailee.json("account", "limit", account["account"])
    (account,) = bailee.json("account", "list")
    assert 0 == account["stored_mb"]
    assert [1, None] == [one["body"]["mb"] for one in bailee.json("audit", "list")
                         if one["kind"] == "account.stored_limit"]  # fmt: skip
