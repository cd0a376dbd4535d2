"""Passkeys: adding one to a person, and signing in with one.

Rules kept here:

* A passkey is found by the authenticator, not by a name that is typed: nothing here answers who has
  one.
* It stands alone, so the authenticator must have verified its user (a finger, a PIN).
* A challenge is good once, for ten minutes, for what it was made for. Origin and relying party are
  those of the console.
* Its signature counter may not go back.

Standard: W3C Web Authentication Level 3, by way of `webauthn`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import webauthn
from sqlalchemy import delete, insert, select, update
from webauthn.helpers import base64url_to_bytes, options_to_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from bailee.accounts.attempts import Attempts, AttemptSubject, network
from bailee.accounts.authority import Authority
from bailee.accounts.backing import Backing
from bailee.accounts.pending import Pending, PendingKind
from bailee.accounts.people import People
from bailee.accounts.roles import Actor, Permission
from bailee.accounts.ways_in import Passkey, RelyingParty
from bailee.db.checks import sound
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.people import identities, passkeys
from bailee.errors import InputError
from bailee.json_values import members, text
from bailee.shown import named

_WHAT: Final = "the passkeys"
_MOST: Final = 20
_ADDING: Final = PendingKind("adding a passkey", 20)
_SIGNING_IN: Final = PendingKind("passkey", 100, strangers=True)
_LONGEST_NAME: Final = 80


class PasskeySignIn:
    """The passkeys of a home's people.

    The console calls it, on any thread. It owns their rows; challenges wait among `pending`, so any
    process takes the answer. It begins no web session: it says whose passkey answered.
    """

    def __init__(
        self,
        backing: Backing,
        *,
        people: People,
        authority: Authority,
        attempts: Attempts,
        things: Pending,
    ) -> None:
        self._engine = backing.engine
        self._clock = backing.clock
        self._ledger = backing.ledger
        self._identifiers = backing.identifiers
        self._random = backing.random
        self._people = people
        self._authority = authority
        self._attempts = attempts
        self._pending = things

    # -- adding ----------------------------------------------------------------------------------

    def begin_adding(
        self, person_id: str, *, place: RelyingParty, by: Actor
    ) -> tuple[str, dict[str, object]]:
        """A token, and the options for the browser's `navigator.credentials.create`, as JSON.

        Raises:
            InputError: `forbidden`, `not_found`; the person has very many.
        """
        self._authority.require_for_person(by, Permission.PERSON_CHANGE, person_id)
        self._authority.refuse_provider_only(person_id)
        person = self._people.get(person_id)
        held = self._rows(person_id)
        if len(held) >= _MOST:
            raise InputError(f"a person has at most {_MOST} passkeys.", hint="remove one first")
        challenge = self._random(32)
        options = webauthn.generate_registration_options(
            rp_id=place.rp_id,
            rp_name="bailee",
            user_id=person_id.encode(),
            user_name=person.email or person_id,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=row.id) for row in held],
        )
        token = self._pending.secret()
        self._pending.put(_ADDING, token, challenge.hex(), asker=person_id, person_id=person_id)
        return token, json.loads(options_to_json(options))

    def add(
        self,
        token: str,
        credential: Mapping[str, object],
        *,
        name: str,
        place: RelyingParty,
        by: Actor,
    ) -> Passkey:
        """Keep the passkey that the browser made in answer.

        Raises:
            InputError: too late, or it does not verify; `forbidden`.
        """
        begun = self._pending.take(_ADDING, token)
        if begun is None or begun.person_id is None:
            raise _stale()
        self._authority.require_for_person(by, Permission.PERSON_CHANGE, begun.person_id)
        try:
            verified = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=bytes.fromhex(begun.content),
                expected_rp_id=place.rp_id,
                expected_origin=place.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise InputError(
                "the passkey could not be verified.", hint="try again, in the same window"
            ) from error
        called = named(" ".join(name.split())[:_LONGEST_NAME], "a passkey's name") or "passkey"
        now = self._clock()
        with storage_errors(_WHAT), self._engine.begin() as connection:
            known = select(passkeys.c.id).where(passkeys.c.id == verified.credential_id)
            if connection.execute(known).first() is not None:
                raise InputError("this passkey has already been added.")
            connection.execute(
                insert(passkeys).values(
                    id=verified.credential_id,
                    person_id=begun.person_id,
                    public_key=verified.credential_public_key,
                    sign_count=verified.sign_count,
                    name=self._identifiers.seal(begun.person_id, "passkey", called),
                    created_at=now,
                )
            )
            self._ledger.append(
                "person.passkey_added", begun.person_id, {"by": by.name}, connection=connection
            )
        return Passkey(verified.credential_id.hex(), called, now, None)

    def of_person(self, person_id: str) -> list[Passkey]:
        """A person's passkeys, oldest first."""
        return [
            Passkey(
                row.id.hex(),
                self._identifiers.shown(person_id, "passkey", row.name) or "",
                row.created_at,
                row.last_used_at,
            )
            for row in self._rows(person_id)
        ]

    def remove(self, person_id: str, passkey_id: str, *, by: Actor) -> None:
        """Remove a passkey; not the last way in.

        Raises:
            InputError: `not_found`; nothing else is left to sign in with; `forbidden`.
        """
        self._authority.require_for_person(by, Permission.PERSON_CHANGE, person_id)
        held = [row.id for row in self._rows(person_id)]
        wanted = next((one for one in held if one.hex() == passkey_id), None)
        if wanted is None:
            raise InputError("there is no such passkey.", code="not_found")
        if len(held) == 1 and not self._other_way_in(person_id):
            raise InputError(
                "this passkey is your only way to sign in.", hint="set a password first"
            )
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(delete(passkeys).where(passkeys.c.id == wanted))
            self._ledger.append(
                "person.passkey_removed", person_id, {"by": by.name}, connection=connection
            )

    # -- signing in ------------------------------------------------------------------------------

    def begin(self, *, place: RelyingParty, address: str) -> tuple[str, dict[str, object]]:
        """A token, and the options for the browser's `navigator.credentials.get`, as JSON.

        Raises:
            InputError: `too_many_attempts`, too many were begun from this address.
        """
        challenge = self._random(32)
        options = webauthn.generate_authentication_options(
            rp_id=place.rp_id,
            challenge=challenge,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        token = self._pending.secret()
        self._pending.put(_SIGNING_IN, token, challenge.hex(), asker=network(address))
        return token, json.loads(options_to_json(options))

    def sign_in(
        self, token: str, credential: Mapping[str, object], *, place: RelyingParty, address: str
    ) -> str:
        """The id of the person whose passkey answered. Begin a web session for them next.

        Raises:
            InputError: `authentication`, the same for whatever is wrong; `too_many_attempts`;
                `forbidden`, the passkey is good and they have no place here any more.
        """
        subjects = [AttemptSubject("address", address)]
        self._attempts.begin(subjects)
        begun = self._pending.take(_SIGNING_IN, token)
        if begun is None:
            raise _stale()
        try:
            row = self._named(credential)
            verified = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=bytes.fromhex(begun.content),
                expected_rp_id=place.rp_id,
                expected_origin=place.origin,
                credential_public_key=row.public_key,
                credential_current_sign_count=row.sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError, LookupError) as error:
            raise InputError(
                "this passkey does not sign in here.",
                code="authentication",
                hint="use another way to sign in, and add the passkey again",
            ) from error
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                update(passkeys)
                .where(passkeys.c.id == row.id)
                .values(sign_count=verified.new_sign_count, last_used_at=self._clock())
            )
        self._attempts.succeeded(subjects)
        person_id: str = row.person_id
        self._authority.require_place(person_id)
        self._authority.refuse_provider_only(person_id)
        return person_id

    # -- inside ----------------------------------------------------------------------------------

    def _named(self, credential: Mapping[str, object]) -> DbRow:
        """The row of the passkey that a credential names; LookupError when there is none."""
        named = base64url_to_bytes(str(credential["id"]))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            query = select(passkeys).where(passkeys.c.id == named, sound(passkeys))
            row = connection.execute(query).first()
        handle = text(members(credential["response"]).get("userHandle"))
        if row is None or (handle and base64url_to_bytes(handle) != row.person_id.encode()):
            raise LookupError
        return row

    def _rows(self, person_id: str) -> list[DbRow]:
        query = (
            select(passkeys)
            .where(passkeys.c.person_id == person_id, sound(passkeys))
            .order_by(passkeys.c.created_at, passkeys.c.id)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return list(connection.execute(query))

    def _other_way_in(self, person_id: str) -> bool:
        if self._people.get(person_id).has_password:
            return True
        query = select(identities.c.person_id).where(
            identities.c.person_id == person_id, sound(identities)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return connection.execute(query).first() is not None


def _stale() -> InputError:
    return InputError(
        "this took too long, or has already been answered.",
        code="authentication",
        hint="begin again",
    )
