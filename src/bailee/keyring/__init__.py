"""Envelope encryption in a store of its own: root → KEK of an expiry epoch → DEK of a subject.

What is named here is imported when it is asked for: a process that opens a record with a key it was
lent (`training.working`) needs `wrapping` alone, and no database.

Rows: R5 (forgetting is destroying a key), D4.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bailee.keyring.damage import DamagedKey
    from bailee.keyring.ending import EndedKek
    from bailee.keyring.fitting import check as check_root
    from bailee.keyring.fitting import newest_generation
    from bailee.keyring.keyring import Keyring
    from bailee.keyring.moving import Moved, Want
    from bailee.keyring.named import read_secrets
    from bailee.keyring.rooted import open_under
    from bailee.keyring.roots.file import EnvironmentRoot, FileRoot
    from bailee.keyring.roots.opening import driver_of, open_root
    from bailee.keyring.roots.root import Root
    from bailee.keyring.rotation import Rotation
    from bailee.keyring.store import Dek
else:
    _PLACES: Final = {
        "DamagedKey": ("bailee.keyring.damage", "DamagedKey"),
        "EndedKek": ("bailee.keyring.ending", "EndedKek"),
        "check_root": ("bailee.keyring.fitting", "check"),
        "newest_generation": ("bailee.keyring.fitting", "newest_generation"),
        "Keyring": ("bailee.keyring.keyring", "Keyring"),
        "Moved": ("bailee.keyring.moving", "Moved"),
        "Want": ("bailee.keyring.moving", "Want"),
        "read_secrets": ("bailee.keyring.named", "read_secrets"),
        "open_under": ("bailee.keyring.rooted", "open_under"),
        "EnvironmentRoot": ("bailee.keyring.roots.file", "EnvironmentRoot"),
        "FileRoot": ("bailee.keyring.roots.file", "FileRoot"),
        "driver_of": ("bailee.keyring.roots.opening", "driver_of"),
        "open_root": ("bailee.keyring.roots.opening", "open_root"),
        "Root": ("bailee.keyring.roots.root", "Root"),
        "Rotation": ("bailee.keyring.rotation", "Rotation"),
        "Dek": ("bailee.keyring.store", "Dek"),
    }

    def __getattr__(name: str) -> object:
        try:
            module, called = _PLACES[name]
        except KeyError:
            raise AttributeError(name) from None
        globals()[name] = found = getattr(import_module(module), called)
        return found


__all__ = [
    "DamagedKey",
    "Dek",
    "EndedKek",
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
    "read_secrets",
]
