"""What keeps somebody out of a page: axe-core's findings, and a page wider than the screen.

With `BAILEE_PICTURES=1` pictures of all pages are put in .cache/screenshots, for people to look at:
wide and narrow, light and dark; every page is opened in Chinese too.
"""

from __future__ import annotations

import os
from typing import Any, Literal

from coding_agents import CACHE
from playwright.sync_api import Page

PICTURES = CACHE / "screenshots" if os.environ.get("BAILEE_PICTURES") == "1" else None
Look = tuple[Literal["light", "dark"], int]
_LOOKS: tuple[Look, ...] = (("light", 1280), ("dark", 390))
_PICTURED: tuple[Look, ...] = (*_LOOKS, ("dark", 1280), ("light", 390))
_RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


def barriers(page: Page, name: str, axe: str) -> list[str]:
    """What there is of both on a page that is open: light and wide, then dark and narrow. It is
    loaded once for both, as nothing but the style differs. `axe` is the source of axe-core.
    """
    page.evaluate(axe)
    found = []
    for scheme, width in _PICTURED if PICTURES else _LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        told = _serious(page)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            told.append("wider than the screen")
        found += [f"{scheme}, {width}: {one}" for one in told]
        if PICTURES:
            page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png", full_page=True)
    return found


def _serious(page: Page) -> list[str]:
    """What axe-core finds to be serious or critical, with the first place of each."""
    found: list[dict[str, Any]] = page.evaluate(_RUN)
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:160]} {one['nodes'][0].get('failureSummary', '')}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
