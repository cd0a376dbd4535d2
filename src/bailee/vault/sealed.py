"""A session as it lies in the vault, for whoever opens it in another process.

What is handed over is one session's: its row, what the index says of its exchanges, its records as
ciphertext, and its key. It opens nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bailee.vault.compressing import ExchangeRecord
from bailee.vault.kept import IndexedExchange, SessionRow
from bailee.vault.record import open_record
from bailee.vault.transcript import Transcript, rebuild, transcript


@dataclass(frozen=True, slots=True)
class SealedSession:
    """`records`: one for each of `exchanges`, in order, read as they are asked for. `key`: 32
    bytes; it is left out of `repr`.
    """

    session: SessionRow
    exchanges: tuple[IndexedExchange, ...]
    records: Iterable[bytes]
    key: bytes = field(repr=False)

    def opened(self) -> Transcript:
        """The session, rebuilt: each exchange as it was.

        Raises:
            IntegrityError: a record does not authenticate, or they don't fit together.
            StorageError: a record can't be read.
        """
        return transcript(self.session, rebuild(self._opened()))

    def _opened(self) -> Iterator[tuple[IndexedExchange, ExchangeRecord]]:
        for exchange, sealed in zip(self.exchanges, self.records, strict=True):
            yield (
                exchange,
                open_record(
                    sealed,
                    self.key,
                    session_id=self.session.id,
                    record_id=exchange.id,
                    data_class=self.session.data_class,
                ),
            )
