"""Until when a server's own certificate is good."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509


def ends_at(file: Path) -> datetime:
    """The end of the first certificate of a file in PEM.

    Raises:
        OSError: the file can't be read.
        ValueError: there is none in it.
    """
    return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
