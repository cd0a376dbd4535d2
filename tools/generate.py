"""Writes the generated pages and the schema; with `--check`, only says which are out of date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import api_page
import cli_page
import configuration_page
import coverage_page
import demo_picture
import errors_page
import failures_page
import faults_page
import from_nothing
import load_page
import measurements_page
import metrics_page
import policy_pages
import routes_page
import scale_page

ROOT = Path(__file__).resolve().parent.parent


def _there(line: Literal["data", "keys"]) -> str:
    return from_nothing.render_postgresql(line, from_nothing.render(line))


PAGES: dict[str, Callable[[], str]] = {
    "src/bailee/db/migrations/data/from_nothing.sql": lambda: from_nothing.render("data"),
    "src/bailee/db/migrations/keys/from_nothing.sql": lambda: from_nothing.render("keys"),
    "src/bailee/db/migrations/data/from_nothing_postgresql.sql": lambda: _there("data"),
    "src/bailee/db/migrations/keys/from_nothing_postgresql.sql": lambda: _there("keys"),
    "docs/demo.svg": lambda: demo_picture.render((ROOT / "README.md").read_text()),
    "docs/coverage.md": lambda: coverage_page.render(coverage_page.collect(ROOT)),
    "docs/reference/cli.md": cli_page.render,
    "src/bailee/cli/help.jsonl": cli_page.render_helps,
    "docs/reference/configuration.md": configuration_page.render,
    "docs/reference/errors.md": errors_page.render,
    "docs/reference/http-api.md": api_page.render,
    "docs/reference/failures.md": failures_page.render,
    "docs/reference/faults.md": faults_page.render,
    "docs/reference/load.md": lambda: load_page.render(ROOT),
    **{
        f"docs/reference/{name}": partial(load_page.picture, ROOT, name)
        for name in load_page.PICTURES
    },
    "docs/reference/measurements.md": lambda: measurements_page.render(ROOT),
    "docs/reference/metrics.md": metrics_page.render,
    "docs/reference/routes.md": routes_page.render,
    "docs/scale.md": lambda: scale_page.render(ROOT),
    **policy_pages.PAGES,
}


def stale() -> list[str]:
    """The generated pages whose file does not hold what would be generated now."""
    return [
        page
        for page, make in PAGES.items()
        if not (ROOT / page).exists() or (ROOT / page).read_text() != make()
    ]


def main() -> int:
    """Exit status 0, or 1 when `--check` finds a page out of date."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="write nothing")
    check: bool = arguments.parse_args().check
    for page in (old := stale()):
        if check:
            print(f"{page} is out of date", file=sys.stderr)
        else:
            (ROOT / page).write_text(PAGES[page]())
            print(f"generated {page}")
    if check and old:
        print("hint: make docs, then commit what changed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
