"""Builds the docs site into site/, strictly: no broken link, no page that the menu has not.

zensical finds broken links and anchors; that the menu and the folder agree is checked here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def pages_of(nav: object) -> Iterator[str]:
    """The pages that a menu names, in its order."""
    match nav:
        case str():
            yield nav
        case list():
            for entry in nav:
                yield from pages_of(entry)
        case dict():
            for entry in nav.values():
                yield from pages_of(entry)


def disagreements(nav: object, files: set[str]) -> list[str]:
    """What the menu names and the folder has not, and the other way round, as sentences."""
    named = set(pages_of(nav))
    return [
        *(f"the menu names {page}, which is not there" for page in sorted(named - files)),
        *(f"{page} is not in the menu" for page in sorted(files - named)),
    ]


def main() -> int:
    """Exit status 0, or 1 with what is wrong on standard error."""
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    docs = ROOT / "docs"
    files = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    if wrong := disagreements(nav, files):
        print("\n".join(wrong), "hint: the menu is in zensical.toml", sep="\n", file=sys.stderr)
        return 1
    # In a folder of its own: with --clean it empties .cache beside its settings, where the tests
    # keep what takes long to fetch; without, it shows pages that are no more.
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copy(ROOT / "zensical.toml", place)
        shutil.copytree(docs, place / "docs")
        build = subprocess.run(
            [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
        if build.returncode == 0:
            shutil.rmtree(ROOT / "site", ignore_errors=True)
            shutil.move(place / "site", ROOT / "site")
    if build.returncode != 0:
        # What follows is the tool's own stack, which says nothing about the page.
        said = build.stdout + build.stderr.split("Traceback")[0]
        print(re.sub(r"\x1b\[[0-9;]*m", "", said), file=sys.stderr)
        return 1
    print(f"{len(files)} pages in {ROOT / 'site'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
