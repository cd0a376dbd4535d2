"""Which root a home has: what `keyring.root` says, made into one.

    file                            root.json in the home
    env:NAME                        the same, sealed under the key in an environment variable
    transit:ADDRESS                 OpenBao, HashiCorp Vault
    aws-kms:NAME                    AWS KMS
    google-kms:RESOURCE             Google Cloud KMS
    pkcs11:token=…;object=…?module-path=…

A driver is imported when it is used, and the libraries that it needs with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypedDict

from bailee.config import Settings
from bailee.errors import InputError, StorageError
from bailee.keyring.roots.file import EnvironmentRoot, FileRoot
from bailee.keyring.roots.root import Root
from bailee.outbound.network import Network

DRIVERS: Final = {
    "file": "file",
    "env": EnvironmentRoot.driver,
    "transit": "transit",
    "aws-kms": "aws-kms",
    "google-kms": "google-kms",
    "pkcs11": "pkcs11",
}
"""What `keyring.root` begins with, and the driver that means."""


def driver_of(where: str) -> str:
    """The driver that a value of `keyring.root` names.

    Raises:
        InputError: code `configuration`; none.
    """
    kind, _, named = where.partition(":")
    if kind not in DRIVERS or bool(named) is (kind == "file"):
        raise InputError(
            f"keyring.root names none of {', '.join(DRIVERS)}.",
            code="configuration",
            hint="use file, or env:NAME, or a service as docs/guides/root-keys.md shows",
        )
    return DRIVERS[kind]


def open_root(
    where: str,
    file: Path,
    settings: Settings,
    environment: Mapping[str, str],
    *,
    may_make: bool,
    moving: bool = False,
) -> Root:
    """The root that `where` names, as `keyring.root` does. `file`: where one of the home lies;
    `may_make`: a first generation, where nothing is wrapped under one that was here before;
    `moving`: between two roots, so that this one may be at its end.

    Raises:
        InputError: code `configuration`; a setting is wrong or missing, or a library is.
        IntegrityError: there is no root key, or it is damaged.
        StorageError: it can't be read; code `root_unreachable`, its service does not answer.
    """
    driver, (_, _, named) = driver_of(where), where.partition(":")
    how: _How = {"may_make": may_make, "moving": moving}
    if driver == "file":
        return FileRoot(file, **how)
    if driver == "environment":
        if not environment.get(named):
            raise InputError(
                f"the environment variable {named} holds no root key.",
                code="configuration",
                hint="set it to 32 random bytes in base64, and keep them safe",
            )
        return EnvironmentRoot(file, environment[named], **how)
    if driver == "transit":
        from bailee.keyring.roots.transit import TransitRoot

        token = Secret("token", settings, environment)
        return TransitRoot(named, token.read, Network.of(environment), **how)
    if driver == "pkcs11":
        from bailee.keyring.roots.pkcs11 import Pkcs11Root

        return Pkcs11Root(where, Secret("pin", settings, environment).read, **how)
    url = settings.text("keyring.url")
    if driver == "aws-kms":
        from bailee.keyring.roots.aws_kms import AwsKmsRoot

        return AwsKmsRoot(named, url, **how)
    from bailee.keyring.roots.google_kms import GoogleKmsRoot

    return GoogleKmsRoot(named, Network.of(environment), url, **how)


class _How(TypedDict):
    may_make: bool
    moving: bool


class Secret:
    """What a service asks for: a token, a PIN. `open_root` makes one, its root reads it when it
    needs it, so that a file may be written anew by what renews tokens.
    """

    def __init__(self, kind: str, settings: Settings, environment: Mapping[str, str]) -> None:
        """`kind`: `token` or `pin`, as settings call it.

        Raises:
            InputError: code `configuration`; neither setting is there, or the variable is empty.
        """
        self._setting = f"keyring.{kind}"
        file, variable = (settings.text(f"{self._setting}_{how}") for how in ("file", "env"))
        self._file = None if file is None else Path(file)
        self._value = environment.get(variable or "", "")
        if self._file is None and not self._value:
            raise InputError(
                f"what holds the root key wants a {kind}, and there is none.",
                code="configuration",
                hint=f"set {self._setting}_file, or {self._setting}_env and the variable it names",
            )

    def read(self) -> str:
        """The secret as it is now.

        Raises:
            StorageError: the file can't be read.
        """
        if self._file is None:
            return self._value
        try:
            return self._file.read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise StorageError(
                f"what {self._setting}_file names can't be read ({type(error).__name__}).",
                hint="whoever runs this server: is it there, and readable for it?",
            ) from None
