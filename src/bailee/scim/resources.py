"""A person and a group as SCIM has them here, and what this server says of itself.

Rules kept here:

* What is not declared here is not kept: names, phone numbers, departments that a provider sends
  beside are dropped, and said nowhere.
* A person is known here by one email. That is the `emails` entry that is primary, else the one of
  work, else the first; without any the `userName`, where it is one (`completed`).
* A resource's version is a digest of what it says.

Standard: RFC 7643.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, TypeVar

from pydantic import EmailStr, Field
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Filter,
    Meta,
    Mutability,
    Patch,
    Reference,
    Required,
    Resource,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

from bailee.accounts.provisioned_groups import ProvisionedGroup, WantedGroup
from bailee.accounts.provisioned_people import ProvisionedPerson, WantedPerson
from bailee.errors import InputError
from bailee.json_values import elements, members

BASE: Final = "/scim/v2"
MOST_AT_ONCE: Final = 200
"""Resources of one answer."""
_WORK: Final = "work"


class UserEmail(ComplexAttribute):
    """The email by which a person is known."""

    value: Annotated[EmailStr | None, Required.true] = None
    type: Annotated[str | None, Mutability.read_only] = None
    primary: Annotated[bool | None, Mutability.read_only] = None


class User(Resource):  # type: ignore[type-arg]
    """A person of the organisation."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    active: Annotated[bool | None, Required.true] = None
    emails: Annotated[list[UserEmail] | None, Required.true] = None


class GroupPerson(ComplexAttribute):
    """Who is in a group: a person, by their id here."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    ref: Annotated[Reference[User] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])


class Group(Resource):  # type: ignore[type-arg]
    """A group of the organisation's provider."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    members: list[GroupPerson] | None = None


Known = TypeVar("Known", User, Group)

PROVIDER: Final = ScimProvider(
    models=[User, Group],
    config=ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MOST_AT_ONCE),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="A token of the organisation",
                description="Authorization: Bearer, made by `bailee organisation scim add`",
            )
        ],
    ),
    # What Entra and Okta send beside, and how Entra removes and fills what is not there.
    policy=ScimPolicy(
        unknown=ScimPolicy.Unknown.ignore,
        remove_value_as_filter=ScimPolicy.RemoveValue.apply,
        unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
    ),
)
"""What is served, and what of a provider's own ways is taken."""


def user_of(person: ProvisionedPerson, base: str) -> User:
    """A person as a resource. `base`: the address of the service."""
    return _versioned(
        User(
            id=person.person_id,
            external_id=person.external_id,
            user_name=person.user_name,
            active=person.active,
            emails=[UserEmail(value=person.email, type=_WORK, primary=True)],
        ),
        Meta(
            resource_type="User",
            created=person.created_at,
            last_modified=person.changed_at,
            location=f"{base}/Users/{person.person_id}",
        ),
    )


def group_of(group: ProvisionedGroup, members: Iterable[str], base: str) -> Group:
    """A group as a resource. `members`: people's ids."""
    return _versioned(
        Group(
            id=group.group_id,
            external_id=group.external_id,
            display_name=group.name,
            members=[
                GroupPerson(value=one, ref=Reference(f"{base}/Users/{one}"), type="User")
                for one in members
            ]
            or None,
        ),
        Meta(
            resource_type="Group",
            created=group.created_at,
            last_modified=group.changed_at,
            location=f"{base}/Groups/{group.group_id}",
        ),
    )


def completed(body: object) -> object:
    """What was sent of a user, with what may be left out: one `emails` entry, by which they are
    known, and whether they are active.
    """
    if not isinstance(body, dict):
        return body
    named = {str(name).casefold(): name for name in body}
    made = {named.get("active", "active"): True, **body}
    emails = named.get("emails", "emails")
    user_name = body.get(named.get("username", "userName"))
    given = sorted((members(one) for one in elements(body.get(emails))), key=_choice)
    if given:
        made[emails] = given[:1]
    elif isinstance(user_name, str) and "@" in user_name:
        made[emails] = [{"value": user_name}]
    return made


def wanted_person(user: User, before: ProvisionedPerson | None) -> WantedPerson:
    """What a resource asks for. `before`: as the person was, if they were there.

    Raises:
        InputError: it has no email.
    """
    return WantedPerson(
        user.user_name or "",
        _email(user, before),
        user.external_id,
        user.active is not False,
    )


def wanted_group(group: Group) -> WantedGroup:
    """What a resource asks for.

    Raises:
        InputError: a group is in it.
    """
    people = group.members or []
    if any((one.type or "User") != "User" for one in people):
        raise InputError("groups in groups are not known here: send who is in them.")
    if any(one.value is None for one in people):
        raise InputError("a member has a value: the person's id here.")
    found = frozenset(one.value for one in people if one.value is not None)
    return WantedGroup(group.display_name or "", group.external_id, found)


def _email(user: User, before: ProvisionedPerson | None) -> str:
    given = [str(one.value) for one in user.emails or [] if one.value]
    if before is not None and len(given) > 1:  # another was put beside it
        given = [one for one in given if one != before.email] or given
    if not given:
        raise InputError("a person has an email here.")
    return given[0]


def _choice(email: Mapping[str, object]) -> tuple[bool, bool]:
    """By which of several a person is known: the least."""
    return email.get("primary") is not True, email.get("type") != _WORK


def _versioned(resource: Known, meta: Meta) -> Known:
    said = resource.model_dump_json().encode()
    meta.version = f'W/"{hashlib.sha256(said).hexdigest()[:16]}"'
    resource.meta = meta
    return resource
