"""A server that runs, asked everything by an implementation of SCIM beside ours.

Rows: O1.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.clients.programs import Bailee

# A person has one email here, which is their primary one and of work, whatever is sent beside it.
KNOWN = {("User", "check_replace_attribute", "emails")}


@pytest.mark.row("O1")
def test_another_implementation_finds_nothing_but_what_is_meant(tmp_path: Path) -> None:
    """Discovery, creating, reading, filters, replacing, patching and deleting, of both kinds."""
    # Not by every process that collects: beside all that they have imported it takes ten seconds.
    from httpx2 import Client
    from scim2_client.engines.httpx2 import SyncSCIMClient
    from scim2_tester import Status, check_server

    bailee = Bailee(tmp_path)
    bailee.up("--upstream", "http://127.0.0.1:9")
    try:
        organisation = bailee.json("organisation", "create", "Acme", "--plan", "team")
        made = bailee.json("organisation", "scim", "add", organisation["organisation"])
        client = Client(
            base_url=bailee.ready["console_api"] + made["path"],
            headers={"authorization": f"Bearer {made['token']}"},
            timeout=60,
        )
        scim = SyncSCIMClient(client)
        scim.discover()
        found = check_server(scim)
    finally:
        bailee.stop()
        bailee.close()

    wrong = {
        (str(one.resource_type), one.title, str((one.data or {}).get("urn")))
        for one in found
        if one.status not in (Status.SUCCESS, Status.SKIPPED)
    }
    assert wrong == KNOWN
    assert len([one for one in found if one.status is Status.SUCCESS]) > 40
