"""What a person's own commands say of their key, their choice and their receipts, in the locale's
language.
"""

from __future__ import annotations

import re
from pathlib import Path

from support.clients.programs import Bailee, message

CHINESE = {"LANG": "zh_CN.UTF-8"}
_HAN = re.compile("[\u4e00-\u9fff]")


def both(bailee: Bailee, *arguments: str) -> tuple[str, str]:
    """What a command says in English, and in Chinese by the locale and by `--lang` alike."""
    english = bailee.run(*arguments)
    by_locale = bailee.run(*arguments, env=CHINESE)
    by_option = bailee.run(*arguments, "--lang", "zh")
    assert (0, 0) == (english.returncode, by_locale.returncode), english.stderr + by_locale.stderr
    assert by_locale.stdout == by_option.stdout
    assert _HAN.search(english.stdout) is None
    assert _HAN.search(by_locale.stdout) is not None, by_locale.stdout
    return english.stdout, by_locale.stdout


def test_a_key_and_the_choice_are_told_in_both(shared: Bailee) -> None:
    """On whose terms, for how long, and what follows from a choice."""
    key = shared.json("key", "create", "--plan", "pro")["key"]

    english, chinese = both(shared, "key", "show", "--key", key)
    assert "kept 30 days; not trained on" in english
    assert "保留：30 天；不用于训练" in chinese

    english, chinese = both(shared, "privacy", "show", "--key", key)
    assert "training: none" in english and "allow or refuse" in english
    assert "训练：未选择" in chinese and "bailee privacy refuse" in chinese

    shared.json("privacy", "allow", "--key", key)
    english, chinese = both(shared, "privacy", "show", "--key", key)
    assert english.startswith("training: allowed (allow by ")
    assert chinese.startswith("训练：允许（依据 ")
    assert "kept 5 years; may be trained on" in both(shared, "key", "show", "--key", key)[0]
    read = shared.json("privacy", "show", "--key", key)
    assert read == shared.json("privacy", "show", "--key", key, env=CHINESE)  # programs: as it is
    both(shared, "privacy", "history", "--key", key)
    both(shared, "privacy", "exports", "--key", key)


def test_receipts_are_told_in_both(shared: Bailee, tmp_path: Path) -> None:
    """The list, one with its steps and what is left, and what a check of its signature found."""
    key = shared.json("key", "create", "--plan", "pro")["key"]
    message(shared.ready, "the medlar", key=key)
    (session,) = shared.sessions()
    receipt = shared.json("sessions", "delete", session["id"])["receipt"]
    signed = tmp_path / "receipt.json"
    signed.write_text(shared.run("receipts", "show", receipt, "--json").stdout)

    both(shared, "receipts", "list")
    english, chinese = both(shared, "receipts", "show", receipt)
    assert "sees this receipt:" in english
    assert "的人都能查看此回执" in chinese
    english, chinese = both(shared, "receipts", "verify", str(signed))
    assert "as signed by this key" in english
    assert "与签署时一致" in chinese
