"""Envelope encryption in a store of its own: root → KEK of an expiry epoch → DEK of a subject.

Rows: R5 (forgetting is destroying a key), D4.
"""

from bailee.keyring.damage import DamagedKey
from bailee.keyring.destroying import DestroyedKek
from bailee.keyring.fitting import check as check_root
from bailee.keyring.fitting import newest_generation
from bailee.keyring.keyring import Keyring
from bailee.keyring.moving import Moved, Want
from bailee.keyring.rooted import open_under
from bailee.keyring.roots.file import EnvironmentRoot, FileRoot
from bailee.keyring.roots.opening import driver_of, open_root
from bailee.keyring.roots.root import Root
from bailee.keyring.rotation import Rotation
from bailee.keyring.store import Dek

__all__ = [
    "DamagedKey",
    "Dek",
    "DestroyedKek",
    "EnvironmentRoot",
    "FileRoot",
    "Keyring",
    "Moved",
    "Root",
    "Rotation",
    "Want",
    "check_root",
    "driver_of",
    "newest_generation",
    "open_root",
    "open_under",
]
