"""Rows as columns, and columns as an encrypted Parquet file. Pure but for the nonce, an argument.

A file is `"BLP1" | nonce | AES-256-GCM of a Parquet file`, bound to its own name. The whole file is
sealed at once: measured against Parquet's own encryption in decision 51.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from bailee.errors import IntegrityError
from bailee.keyring.wrapping import associated, seal, unseal
from bailee.plain_arrow import look_for_no_pandas
from bailee.registry import Registry
from bailee.telemetry.records import METRIC, DataClass, Row, StackFrame, as_json

look_for_no_pandas()

MAGIC: Final = b"BLP1"
_TEXT = pa.dictionary(pa.int32(), pa.string())
_FIGURE: Final = (
    ("at", pa.int64()),
    ("name", _TEXT),
    ("kind", _TEXT),
    ("value", pa.float64()),
    ("count", pa.int64()),
    ("bounds", _TEXT),
    ("counts", pa.list_(pa.int64())),
)
_ERROR: Final = (
    ("at", pa.int64()),
    ("issue", _TEXT),
    ("type", _TEXT),
    ("level", _TEXT),
    ("platform", _TEXT),
    ("release", _TEXT),
    ("environment", _TEXT),
    ("handled", pa.bool_()),
    ("frames", _TEXT),
)


def column_of(field: str) -> str:
    """The column of a declared field."""
    return f"a.{field}"


def schema(data_class: DataClass, registry: Registry) -> pa.Schema:
    """The columns of a class: its own, then one for each declared field."""
    own = _FIGURE if data_class == METRIC else _ERROR
    fields = sorted(registry.fields) if data_class == METRIC else sorted(registry.common)
    return pa.schema([*own, *((column_of(name), _type(registry, name)) for name in fields)])


def _type(registry: Registry, name: str) -> pa.DataType:
    kind = registry.fields[name].kind
    if kind.numeric:
        return pa.float64()
    return pa.bool_() if kind.type == "boolean" else _TEXT


def table(
    data_class: DataClass,
    rows: Sequence[Row],
    registry: Registry,
    names: Sequence[str] | None = None,
) -> pa.Table:
    """Rows as a table with the class's schema, or with the columns `names` of it. A frame list, and
    a histogram's bounds, become one text, as JSON.
    """
    whole = schema(data_class, registry)
    own = {name for name, _ in (_FIGURE if data_class == METRIC else _ERROR)}
    arrays = []
    wanted = whole.names if names is None else names
    for name in wanted:
        if name in own:
            values = list(map(attrgetter(name), rows))
            if name in ("bounds", "frames"):
                values = _texts(values)
        else:
            field = name.removeprefix("a.")
            values = [row.attributes.get(field) for row in rows]
        kind = whole.field(name).type
        arrays.append(
            pa.array(values, type=kind.value_type).dictionary_encode()
            if pa.types.is_dictionary(kind)
            else pa.array(values, type=kind)
        )
    return pa.Table.from_arrays(arrays, schema=pa.schema([whole.field(n) for n in wanted]))


def _texts(values: Sequence[Sequence[StackFrame] | Sequence[float] | None]) -> list[str | None]:
    return [None if value is None else as_json(value).decode() for value in values]


def sealed(content: pa.Table, key: bytes, name: str, nonce: bytes) -> bytes:
    """A table as an encrypted file."""
    sink = pa.BufferOutputStream()
    pq.write_table(content, sink, compression="zstd", compression_level=3)
    data = associated("bailee/parquet/1", name)
    return MAGIC + seal(key, sink.getvalue().to_pybytes(), data, nonce)


def opened(content: bytes, key: bytes, name: str, columns: Iterable[str]) -> pa.Table:
    """The wanted columns of an encrypted file, as far as it has them.

    Raises:
        IntegrityError: it does not open, or is no Parquet file.
    """
    if not content.startswith(MAGIC):
        raise IntegrityError("a telemetry file has a form this version does not know.")
    data = associated("bailee/parquet/1", name)
    plain = unseal(key, memoryview(content)[len(MAGIC) :], data, "a telemetry file")
    file = pq.ParquetFile(pa.BufferReader(plain))
    there = set(file.schema_arrow.names)
    found = file.read([name for name in columns if name in there])
    if "bounds" in found.column_names and pa.types.is_list(found.schema.field("bounds").type):
        # Files of before bounds were texts.
        texts = pa.array(_texts(found.column("bounds").to_pylist()), pa.string())
        place = found.column_names.index("bounds")
        found = found.set_column(place, "bounds", texts.dictionary_encode())
    return found


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables of one class as one; a column that one lacks is empty there."""
    return pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
