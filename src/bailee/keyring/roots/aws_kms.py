"""The root key in AWS KMS: a generation is a key of its own, under an alias `NAME-NUMBER`.

* Rotating a key of AWS destroys nothing: old material opens for ever what it wrapped. So each
  generation is a key.
* To destroy one is to schedule its deletion. AWS deletes after 7 days at the least; until then
  whoever may administer the key can call that off, so that is the `lag`. From the moment on it is
  scheduled, nothing opens under it.
* What a wrap is bound to is its encryption context. AWS writes that into its log: it gets a digest.
* Between the key and its alias a crash leaves a key that nothing was ever wrapped under.

Credentials and region are found as the AWS SDKs find them.
See https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, Final, TypeAlias

from bailee.clock import Ticks, ticks
from bailee.errors import InputError, IntegrityError
from bailee.keyring.roots.root import Bound, unauthentic
from bailee.keyring.roots.service import CONNECTING, SECONDS, RootUnreachable, ServiceRoot

Untyped: TypeAlias = Any
"""What botocore gives."""

_DAYS: Final = 7
_NOT_OURS: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_HINT: Final = "whoever runs the account: `aws sts get-caller-identity`, and what it may do in KMS"


class AwsKmsRoot(ServiceRoot):
    """Generations as keys of one AWS account and region. It owns the client; it is asked as
    `ServiceRoot` says. Which key a generation is, is read when generations are.
    """

    driver = "aws-kms"
    called = "AWS KMS"
    lag = timedelta(days=_DAYS)

    def __init__(
        self,
        name: str,
        url: str | None = None,
        *,
        may_make: bool,
        moving: bool = False,
        ticking: Ticks = ticks,
    ) -> None:
        """`name`: of the aliases, without `alias/` and number; `url`: the service's, if it is not
        the region's own.

        Raises:
            InputError: code `configuration`; it is no name of an alias, or no region is set.
            IntegrityError, StorageError: see `ServiceRoot`.
        """
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        if re.fullmatch(r"[A-Za-z0-9/_-]{1,200}", name) is None or name.startswith("aws/"):
            raise InputError(
                "keyring.root names no alias.", code="configuration", hint="like aws-kms:bailee"
            )
        # Its warnings hold what AWS answered.
        logging.getLogger("botocore").setLevel(logging.CRITICAL)
        waits = {"connect_timeout": CONNECTING, "read_timeout": SECONDS}
        options = Config(**waits, retries={"total_max_attempts": 2})
        region = os.environ.get("AWS_REGION")  # which botocore does not read
        try:
            self._client: Untyped = _session().create_client(
                "kms", region_name=region, endpoint_url=url, config=options
            )
        except (BotoCoreError, ValueError) as error:
            raise InputError(
                f"AWS KMS can't be asked ({type(error).__name__}).",
                code="configuration",
                hint="set AWS_REGION, and the variables or profile that the AWS SDK reads",
            ) from None
        self._alias = f"alias/{name}-"
        self._ids: dict[int, str] = {}
        self._newest = 0  # of all that are known, those that were destroyed too
        super().__init__(may_make=may_make, moving=moving, ticking=ticking)

    def _list(self) -> tuple[int, ...]:
        found: dict[int, str] = {}
        asked: dict[str, object] = {}
        while True:
            page = self._asked(self._client.list_aliases, **asked)
            for alias in page["Aliases"]:
                number = alias["AliasName"].removeprefix(self._alias)
                if alias["AliasName"] != number and number.isdecimal() and "TargetKeyId" in alias:
                    found[int(number)] = alias["TargetKeyId"]
            if not page.get("Truncated"):
                break
            asked = {"Marker": page["NextMarker"]}
        self._newest = max([self._newest, *found])
        self._ids = {
            number: key for number, key in sorted(found.items()) if self._lives(number, key)
        }
        return tuple(self._ids)

    def _lives(self, number: int, key: str) -> bool:
        state = self._asked(self._client.describe_key, KeyId=key)["KeyMetadata"]["KeyState"]
        if state not in ("Enabled", "PendingDeletion"):
            raise RootUnreachable(
                f"has generation {number} of it in the state {state}",
                f"whoever runs the account: enable the key of {self._alias}{number}",
            )
        return bool(state == "Enabled")

    def _make(self) -> None:
        alias = f"{self._alias}{self._newest + 1}"
        made = self._asked(self._client.create_key, Description=f"bailee's root key, {alias}")
        key = made["KeyMetadata"]["KeyId"]
        self._asked(self._client.create_alias, AliasName=alias, TargetKeyId=key)

    def _end(self, generation: int) -> None:
        for number, key in self._ids.items():
            if number <= generation:
                asked = {"KeyId": key, "PendingWindowInDays": _DAYS}
                self._asked(self._client.schedule_key_deletion, **asked)

    def _seal(self, generation: int, some: Sequence[Bound]) -> list[bytes]:
        key_id = self._ids[generation]

        def seal(one: Bound) -> bytes:
            key, data = one
            asked = {"KeyId": key_id, "Plaintext": key, "EncryptionContext": _context(data)}
            sealed: bytes = self._asked(self._client.encrypt, **asked)["CiphertextBlob"]
            return sealed

        return self._each(seal, some)

    def _open(self, generation: int, some: Sequence[Bound]) -> list[bytes | IntegrityError]:
        key_id = self._ids[generation]

        def opened(one: Bound) -> bytes | IntegrityError:
            wrapped, data = one
            asked = {"KeyId": key_id, "CiphertextBlob": wrapped}
            try:
                value: bytes = self._asked(
                    self._client.decrypt, **asked, EncryptionContext=_context(data)
                )["Plaintext"]
            except _NotOurs:
                return unauthentic("a wrapped key")
            return value

        return self._each(opened, some)

    def _asked(self, call: Callable[..., Untyped], **asked: object) -> Untyped:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call(**asked)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _NOT_OURS:
                raise _NotOurs from None
            kind = code if re.fullmatch(r"[A-Za-z]{1,60}", code) else "an error"
            raise RootUnreachable(f"refuses ({kind})", _HINT) from None
        except BotoCoreError as error:
            raise RootUnreachable(f"does not answer ({type(error).__name__})", _HINT) from None


@cache
def _session() -> Untyped:
    """What reads the descriptions of AWS's services, which takes a second: once in a process."""
    from botocore.session import Session

    return Session()


class _NotOurs(Exception):
    """A wrap that does not authenticate."""


def _context(data: bytes) -> dict[str, str]:
    return {"bailee": hashlib.sha256(data).hexdigest()}
