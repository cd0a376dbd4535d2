"""The data-usage page as one HTML file: nothing fetched, no script, light and dark.

Accessible: the language is declared, landmarks and headings are in order, tables have captions and
scoped headings and scroll by themselves on a narrow screen, and colours keep WCAG AA contrast.
"""

from __future__ import annotations

from html import escape
from typing import Final

from bailee.policy.page import Grid, Items, PolicyPage

_LANGUAGE: Final = {"en": "en", "zh": "zh-Hans"}
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fdfdfb; --soft: #565b61;
  --line: #d8d9d4; --tint: #f0f1ec; --link: #0b57a4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e7e2; --paper: #16181a; --soft: #a9adb2; --line: #383b3f;
    --tint: #202326; --link: #8ab8f0; }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 system-ui, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", sans-serif; }
header, nav, main, footer { max-width: 46rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 3rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; text-wrap: balance; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 3rem 0 .75rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .75rem 0; }
.intro, footer, caption, .by { color: var(--soft); }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
a { color: var(--link); }
a:focus-visible, .scroll:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.clauses { padding: 0; margin: .5rem 0; list-style: none; }
.clauses li { padding: .6rem 0; border-top: 1px solid var(--line); }
.clauses li:first-child { border-top: 0; }
.outcome { font-weight: 650; white-space: nowrap; }
.by { display: block; font-size: .85rem; }
.by a { color: inherit; }
code { font: .85em/1.4 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 1.5rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
caption { text-align: start; padding-bottom: .5rem; font-weight: 600; }
th, td { text-align: start; vertical-align: top; padding: .5rem .75rem;
  border: 1px solid var(--line); overflow-wrap: anywhere; min-width: 7rem; }
thead th { background: var(--tint); }
tbody th { font-weight: 600; }
footer { margin-top: 3rem; padding-top: 1rem; padding-bottom: 3rem; font-size: .85rem;
  overflow-wrap: anywhere; }
@media print { nav { display: none; } .clauses li, tr { break-inside: avoid; } }
"""


def render(page: PolicyPage) -> str:
    """The whole page; ends with a newline."""
    out = [
        "<!doctype html>",
        f'<html lang="{_LANGUAGE[page.language]}">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(page.title)}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        f'<header>\n<h1>{escape(page.title)}</h1>\n<p class="intro">{escape(page.intro)}</p>\n'
        "</header>",
        f'<nav aria-label="{escape(page.contents)}">\n<ul>',
    ]
    out += [
        f'<li><a href="#{escape(one.id)}">{escape(one.title)}</a></li>' for one in page.sections
    ]
    out += ["</ul>\n</nav>", "<main>"]
    for section in page.sections:
        name = escape(section.id)
        out.append(f'<section id="{name}" aria-labelledby="{name}-title">')
        out.append(f'<h2 id="{name}-title">{escape(section.title)}</h2>')
        for block in section.blocks:
            if isinstance(block, Items):
                out += _items(block)
            elif isinstance(block, Grid):
                out += _grid(block)
            else:
                out.append(f"<p>{escape(block)}</p>")
        out.append("</section>")
    out += ["</main>", "<footer>"]
    out += [f"<p>{escape(line)}</p>" for line in page.colophon]
    out += ["</footer>", "</body>", "</html>"]
    return "\n".join(out) + "\n"


def _items(block: Items) -> list[str]:
    lines = [f"<h3>{escape(block.title)}</h3>"] if block.title else []
    lines.append('<ul class="clauses" role="list">')  # Safari forgets a list without bullets
    for item in block.items:
        outcome = f'<span class="outcome">{escape(item.outcome)}</span> · ' if item.outcome else ""
        anchor = f"clause-{escape(item.id)}"
        lines.append(
            f'<li id="{anchor}">{escape(item.text)}'
            f'<span class="by">{outcome}<a href="#{anchor}"><code>{escape(item.id)}</code></a>'
            "</span></li>"
        )
    return [*lines, "</ul>"]


def _grid(block: Grid) -> list[str]:
    caption = escape(block.caption)
    lines = [
        f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0">',
        f"<table>\n<caption>{caption}</caption>",
        "<thead><tr>"
        + "".join(f'<th scope="col">{escape(one)}</th>' for one in block.columns)
        + "</tr></thead>",
        "<tbody>",
    ]
    for row in block.rows:
        cells = "".join(f"<td>{escape(one)}</td>" for one in row[1:])
        lines.append(f'<tr><th scope="row">{escape(row[0])}</th>{cells}</tr>')
    return [*lines, "</tbody>\n</table>\n</div>"]
