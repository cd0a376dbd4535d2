"""`bailee status`: in one look, for a person and for a job, here and from elsewhere.

Rows: O5.
"""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from support.clients.programs import Bailee


@pytest.mark.row("O5")
def test_it_says_what_runs_here_and_from_elsewhere(tmp_path: Path) -> None:
    """Without a server it ends with 1 and still says what is kept; with one it ends with 0, over
    HTTP too, where a key of somebody's own is not enough. A Chinese locale is answered in
    Chinese, and a program in any locale as ever.
    """
    bailee = Bailee(tmp_path)
    try:
        bailee.json("person", "create", "--email", "eve@x.example", "--plan", "pro", "--operator")
        stopped = bailee.run("status", "--json")
        bailee.up("--upstream", "http://127.0.0.1:9")
        runs = bailee.run("status")
        by_locale = bailee.run("status", env={"LANG": "zh_CN.utf8"})  # so written it is not forked
        by_option = bailee.run("promises", "--lang", "zh")
        for_programs = bailee.run("promises", "--json", env={"LANG": "zh_CN.UTF-8"})
        key = bailee.json("key", "create", "--person", "eve@x.example", "--operator")["key"]
        own = bailee.json("key", "create", "--person", "eve@x.example")["key"]
        address = bailee.ready["console"]
        at = ["status", "--json", "--server", address]
        elsewhere = bailee.run(*at, env={"BAILEE_API_KEY": key})
        refused = bailee.run(*at, env={"BAILEE_API_KEY": own})
        with urllib.request.urlopen(bailee.ready["health"] + "/metrics", timeout=30) as answer:
            figures = answer.read().decode()
    finally:
        bailee.stop()
        bailee.close()

    assert (1, "stopped", None) == (
        stopped.returncode,
        json.loads(stopped.stdout)["standing"],
        json.loads(stopped.stdout)["server"],
    )
    assert (0, "") == (runs.returncode, runs.stderr)
    assert "runs since" in runs.stdout
    assert "0 not kept" in runs.stdout
    assert (0, "") == (by_locale.returncode, by_locale.stderr)
    assert "未履行 0 项" in by_locale.stdout
    assert "runs since" not in by_locale.stdout
    assert "服务器正在记录，并加密归档所记录的内容。" in by_option.stdout
    assert for_programs.stdout.isascii()
    said = json.loads(elsewhere.stdout)
    assert (0, "well", True) == (elsewhere.returncode, said["standing"], said["server"]["ready"])
    assert {"gateway", "console"} <= set(said["server"]["connections"])
    assert said["server"]["disks"][0]["free"] > 0
    standings = {one["promise"]: one["standing"] for one in said["promises"]}
    assert "kept" == standings["recorded"]
    assert (2, "") == (refused.returncode, refused.stdout)
    assert 'bailee_promise_kept{promise="recorded"} 1.0' in figures
