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
# What axe-core is run with. Most of its time goes into reading colours, each anew for every element
# that it stands on, into objects whose fields are WeakMaps. Here a colour is read once on a page,
# and such a field is a property. Of the colours, nothing else is changed.
_QUICKER = """
(() => {
  class WeakMap {
    at = Symbol();
    has(one) { return this.at in one }
    get(one) { return one[this.at] }
    set(one, value) { one[this.at] = value; return this }
  }
  class WeakSet extends WeakMap {
    add(one) { return this.set(one, true) }
  }
  %s;
  const read = new Map(), {prototype} = axe.commons.color.Color, {parseString} = prototype;
  prototype.parseString = function (text) {
    if (read.has(text)) [this.r, this.g, this.b, this.alpha] = read.get(text);
    else {
      parseString.call(this, text);
      read.set(text, [this.r, this.g, this.b, this.alpha]);
    }
    return this;
  };
})()
"""
_RUN = """
async only => (await axe.run(document, {resultTypes: ['violations'], ...only})).violations
"""
# Axe's rules whose findings are minor or moderate, whatever they find, are not asked.
_SERIOUS = """
() => ({rules: Object.fromEntries(
  axe._audit.rules.filter(one => ['minor', 'moderate'].includes(one.impact))
     .map(one => [one.id, {enabled: false}]))})
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
    page.evaluate(_QUICKER % axe)
    of_all: dict[str, object] = page.evaluate(_SERIOUS)
    found, looked = [], set[str]()
    for scheme, width in _PICTURED if PICTURES else _LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        seen: str = page.evaluate(_SEEN)
        told = _serious(page, _OF_STYLE if seen in looked else of_all)
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
