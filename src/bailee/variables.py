"""Variables of the environment that begin with `BAILEE_` and that nobody reads: mistyped ones.

In `bailee.toml` a name that is none stops the start. In the environment it can't: a program of
another version, a script, or Kubernetes (which makes some for a service of that name) has its own
there. So it is said, with the name that was probably meant. Values are looked at by nobody.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from bailee.config import SETTINGS, Settings
from bailee.shown import line

PREFIX: Final = "BAILEE_"
OTHERS: Final = frozenset(
    {
        "BAILEE_API_KEY",
        "BAILEE_AS",
        "BAILEE_CLIENT_CERT",
        "BAILEE_CLIENT_KEY",
        "BAILEE_CLIENT_KEY_PASSPHRASE",
        "BAILEE_CLOUD_IMAGES",
        "BAILEE_COMPILED",
        "BAILEE_CONSOLE_URL",
        "BAILEE_CONTEXT_TOKENS",
        "BAILEE_HOME",
        "BAILEE_INGEST_URL",
        "BAILEE_MANAGED_SETTINGS",
        "BAILEE_NOW",
        "BAILEE_SERVER",
        "BAILEE_SIGN_IN_FILE",
        "BAILEE_URL",
        "BAILEE_WORKLOAD_TOKEN",
    }
)
"""Those that are read and are no settings of a home."""
_MOST: Final = 20
_LONGEST: Final = 80
_OF_KUBERNETES: Final = re.compile(
    r"(?:_[A-Z0-9]+)*_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?"
    r"|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)


class UnreadVariable(NamedTuple):
    """A variable that nobody reads: its `name`, as one line; the one that was `meant`, perhaps."""

    name: str
    meant: str | None


def unread(environment: Mapping[str, str], settings: Settings) -> Iterator[UnreadVariable]:
    """The variables that nobody reads, in the order of their names; the first few of them."""
    known = {setting.variable for setting in SETTINGS} | OTHERS
    named = {value for value in settings.values.values() if isinstance(value, str)}
    named |= {one.key_env for one in settings.further if one.key_env is not None}
    found = (
        name
        for name in sorted(environment)
        if name.startswith(PREFIX)
        and name not in known | named
        and _OF_KUBERNETES.fullmatch(name.removeprefix("BAILEE")) is None
    )
    for _, name in zip(range(_MOST), found, strict=False):
        yield UnreadVariable(line(name, _LONGEST), _near(name[:_LONGEST], known))


def _near(name: str, known: Iterable[str]) -> str | None:
    import difflib

    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.8)
    return near[0] if near else None
