"""Envelope encryption in a store of its own: root → KEK of an expiry epoch → DEK of a subject.

Rows: R5 (forgetting is destroying a key), D4.
"""

from bailee.keyring.destroying import DestroyedKek
from bailee.keyring.keyring import Dek, Keyring, Want, has_wraps
from bailee.keyring.moving import Moved
from bailee.keyring.root import EnvironmentRoot, FileRoot, Root
from bailee.keyring.rotation import Rotation

__all__ = [
    "Dek",
    "DestroyedKek",
    "EnvironmentRoot",
    "FileRoot",
    "Keyring",
    "Moved",
    "Root",
    "Rotation",
    "Want",
    "has_wraps",
]
