"""Templates that were compiled for one console serve the next: a run makes some hundred.

Jinja keeps what it has compiled for as long as an environment lives, and a server has the same one
all its life. The templates that every page is framed with take it a tenth of a second.
"""

from __future__ import annotations

from types import CodeType
from typing import Any

from jinja2 import Environment

_compile = Environment.compile
_compiled: dict[tuple[object, ...], str | CodeType] = {}


def share() -> None:
    """From now on, this process compiles a template once, whatever environment it is for."""

    def compile_once(
        self: Environment, source: Any, name: Any = None, filename: Any = None, *options: bool,
        **named: bool,
    ) -> str | CodeType:  # fmt: skip
        if not isinstance(source, str):
            return _compile(self, source, name, filename, *options, **named)
        key = (
            source, name, filename, options, *named.items(), self.autoescape, self.finalize,
            self.undefined, self.trim_blocks, self.lstrip_blocks,
        )  # fmt: skip
        if key not in _compiled:
            _compiled[key] = _compile(self, source, name, filename, *options, **named)
        return _compiled[key]

    Environment.compile = compile_once  # type: ignore[method-assign,assignment]


def warm() -> None:
    """Compile the console's."""
    from bailee.console.frame import PageTemplates
    from bailee.policy import load

    pages = PageTemplates(load, sign_up=lambda: False)._environment
    for name in pages.list_templates(extensions=["html"]):
        pages.get_template(name)
