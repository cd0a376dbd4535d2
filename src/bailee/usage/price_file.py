"""Where prices are read from: the operator's table, or as a whole the shipped `prices.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bailee.errors import InputError
from bailee.usage.prices import PriceTable, parse_prices

_SHIPPED: Final = Path(__file__).with_name("prices.toml")


def read_prices(path: Path | None = None) -> PriceTable:
    """The operator's table, or the shipped one.

    Raises:
        InputError: code `configuration`, it can't be read or a price in it is none.
    """
    where = _SHIPPED if path is None else path
    try:
        return parse_prices(where.read_text("utf-8"), where.name)
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"the price table {where.name} can't be read.",
            code="configuration",
            hint="see usage.prices; without it the shipped table holds",
        ) from None
