"""What keeps somebody out of a page: axe-core's findings, and a page wider than the screen.

With `BAILEE_PICTURES=1` pictures of all pages are put in .cache/screenshots, for people to look at:
wide and narrow, light and dark; every page is opened in Chinese too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from coding_agents import CACHE
from playwright.sync_api import Page

PICTURES = CACHE / "screenshots" if os.environ.get("BAILEE_PICTURES") == "1" else None
Look = tuple[Literal["light", "dark"], int]
_LOOKS: tuple[Look, ...] = (("light", 1280), ("dark", 390))
_PICTURED: tuple[Look, ...] = (*_LOOKS, ("dark", 1280), ("light", 390))
_RUN = """
async only => (await axe.run(document, {resultTypes: ['violations'], ...only})).violations
"""
# Of axe's rules those that look at colours and sizes. The others see what there is to see.
_OF_STYLE = {
    "runOnly": {
        "type": "rule",
        "values": ["color-contrast", "link-in-text-block", "scrollable-region-focusable"],
    }
}
_SEEN = """
() => Array.from(document.querySelectorAll('*'),
                 one => one.checkVisibility({visibilityProperty: true}) ? 1 : 0).join('')
"""


def barriers(page: Page, name: str, axe: str) -> list[str]:
    """What there is of both on a page that is open: light and wide, then dark and narrow. It is
    loaded once for both, as nothing but the style differs; where the same elements are seen too,
    what does not depend on style is not looked for again. `axe` is the source of axe-core.
    """
    page.evaluate(axe)
    found, looked = [], set[str]()
    for scheme, width in _PICTURED if PICTURES else _LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        seen: str = page.evaluate(_SEEN)
        told = _serious(page, _OF_STYLE if seen in looked else {})
        looked.add(seen)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            told.append("wider than the screen")
        found += [f"{scheme}, {width}: {one}" for one in told]
        if PICTURES:
            page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png", full_page=True)
    return found


def _serious(page: Page, only: Mapping[str, object]) -> list[str]:
    """What axe-core finds to be serious or critical, with the first place of each."""
    found: list[dict[str, Any]] = page.evaluate(_RUN, only)
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:160]} {one['nodes'][0].get('failureSummary', '')}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
