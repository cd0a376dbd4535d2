"""What a SCIM request asks for, carried out over a home's people.

Rules kept here:

* Every request is for the organisation whose token was shown: there is no way to name another, and
  who is not known to it is not there.
* A filter that names one by what they are found by is looked up; any other is compared with each,
  and with no more than `MOST_COMPARED`.
* Nothing is changed where If-Match names another version.

Standard: RFC 7644.
Rows: O1.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from scim2_models import (
    Context,
    InvalidFilterException,
    ListResponse,
    NotFoundException,
    PatchOp,
    PayloadTooLargeException,
    PreconditionFailedException,
    ResourceType,
    ResponseParameters,
    Schema,
    ScimFilter,
    SearchRequest,
    ServiceProviderConfig,
    TooManyException,
)
from scim2_models.path.expressions import CompareOperator, Comparison

from bailee.accounts import PeopleRegistry
from bailee.accounts.provisioned_groups import ProvisionedGroup
from bailee.accounts.provisioned_people import ProvisionedPerson
from bailee.errors import InputError
from bailee.json_values import members
from bailee.scim.resources import (
    MOST_AT_ONCE,
    PROVIDER,
    Group,
    User,
    completed,
    group_of,
    user_of,
    wanted_group,
    wanted_person,
)

MOST_COMPARED: Final = 2000
_MOST_OPERATIONS: Final = 1000
_LONGEST_FILTER: Final = 1000
Listed = TypeVar("Listed", User, Group, User | Group, Schema, ResourceType)
Some = TypeVar("Some")


@dataclass(frozen=True, slots=True)
class ScimRequest:
    """One request. `token`: of the token that was shown, `organisation` its; `base`: the address
    of the service; `matches`: what If-Match says, `unless` what If-None-Match.
    """

    organisation: str
    token: str
    base: str
    query: object
    body: object
    matches: str | None = None
    unless: str | None = None


@dataclass(frozen=True, slots=True)
class ScimAnswer:
    """What is answered: JSON, or nothing. `location`: of what was made; `allow`: which methods an
    address has.
    """

    status: int
    body: str | None = None
    version: str | None = None
    location: str | None = None
    allow: Sequence[str] = ()


_changing: Final = threading.Lock()  # from a version that is compared until it is changed


class ScimService:
    """Users and groups of a home's organisations: made for a request, on a thread of the
    application's. What changes something is done one after the other. It keeps nothing.
    """

    def __init__(self, registry: PeopleRegistry) -> None:
        self._people = registry.provisioned_people
        self._groups = registry.provisioned_groups

    # -- users -----------------------------------------------------------------------------------

    def users(self, asked: ScimRequest) -> ScimAnswer:
        """A page of users, of all or of those that a filter names."""
        search = _search(SearchRequest[User], asked)
        named = _named(search.filter)
        if named is not None and (found := self._users_named(asked, *named)) is not None:
            return _listed(ListResponse[User], search, len(found), _page(search, found))
        ids = self._people.ids(asked.organisation)
        if search.filter is None:
            some = self._users(asked, _page(search, ids))
            return _listed(ListResponse[User], search, len(ids), some)
        every = self._users(asked, _comparable(ids))
        found = [one for one in every if search.filter.match(one)]
        return _listed(ListResponse[User], search, len(found), _page(search, found))

    def user(self, asked: ScimRequest, person_id: str) -> ScimAnswer:
        """One user."""
        return _shown(asked, self._user(asked, person_id))

    def add_user(self, asked: ScimRequest) -> ScimAnswer:
        """A new user."""
        wanted = User.model_validate(
            completed(asked.body), scim_ctx=Context.RESOURCE_CREATION_REQUEST
        )
        with _changing:
            made = self._people.add(asked.organisation, wanted_person(wanted, None), by=asked.token)
        return _made(asked, user_of(made, asked.base))

    def replace_user(self, asked: ScimRequest, person_id: str) -> ScimAnswer:
        """Another in the place of a user."""
        wanted = User.model_validate(
            completed(asked.body), scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST
        )

        def replaced(there: User) -> User:
            wanted.replace(there)
            return wanted

        return self._change_user(asked, person_id, replaced, Context.RESOURCE_REPLACEMENT_RESPONSE)

    def patch_user(self, asked: ScimRequest, person_id: str) -> ScimAnswer:
        """A user with some things changed."""
        patch = PatchOp[User].model_validate(
            _patch(asked.body), scim_ctx=Context.RESOURCE_PATCH_REQUEST
        )

        def patched(there: User) -> User:
            patch.patch(there)
            return there

        return self._change_user(asked, person_id, patched, Context.RESOURCE_PATCH_RESPONSE)

    def remove_user(self, asked: ScimRequest, person_id: str) -> ScimAnswer:
        """A user no more."""
        with _changing:
            _check_version(asked, self._user(asked, person_id))
            self._people.remove(asked.organisation, person_id, by=asked.token)
        return ScimAnswer(204)

    # -- groups ----------------------------------------------------------------------------------

    def groups(self, asked: ScimRequest) -> ScimAnswer:
        """A page of groups, of all or of those that a filter names."""
        search = _search(SearchRequest[Group], asked)
        every: Sequence[ProvisionedGroup] = self._groups.every(asked.organisation)
        named, bare = _named(search.filter), _leaves_out_members(search)
        if named is not None and named[0] in ("displayname", "externalid", "id"):
            what, value = named
            every = [one for one in every if _group_is(one, what, value)]
        elif search.filter is not None:
            every = [
                one for one in _comparable(every) if search.filter.match(self._group(asked, one))
            ]
        some = [self._group(asked, one, bare=bare) for one in _page(search, every)]
        return _listed(ListResponse[Group], search, len(every), some)

    def group(self, asked: ScimRequest, group_id: str) -> ScimAnswer:
        """One group."""
        found = self._groups.get(asked.organisation, group_id)
        return _shown(asked, self._group(asked, found))

    def add_group(self, asked: ScimRequest) -> ScimAnswer:
        """A new group."""
        wanted = Group.model_validate(asked.body, scim_ctx=Context.RESOURCE_CREATION_REQUEST)
        with _changing:
            made = self._groups.add(asked.organisation, wanted_group(wanted), by=asked.token)
        return _made(asked, self._group(asked, made))

    def replace_group(self, asked: ScimRequest, group_id: str) -> ScimAnswer:
        """Another in the place of a group."""
        wanted = Group.model_validate(asked.body, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)

        def replaced(there: Group) -> Group:
            wanted.replace(there)
            return wanted

        return self._change_group(asked, group_id, replaced, Context.RESOURCE_REPLACEMENT_RESPONSE)

    def patch_group(self, asked: ScimRequest, group_id: str) -> ScimAnswer:
        """A group with some things changed."""
        patch = PatchOp[Group].model_validate(
            _patch(asked.body), scim_ctx=Context.RESOURCE_PATCH_REQUEST
        )

        def patched(there: Group) -> Group:
            patch.patch(there)
            return there

        return self._change_group(asked, group_id, patched, Context.RESOURCE_PATCH_RESPONSE)

    def remove_group(self, asked: ScimRequest, group_id: str) -> ScimAnswer:
        """A group no more."""
        with _changing:
            found = self._groups.get(asked.organisation, group_id)
            _check_version(asked, self._group(asked, found))
            self._groups.remove(asked.organisation, group_id, by=asked.token)
        return ScimAnswer(204)

    # -- both ------------------------------------------------------------------------------------

    def search(self, asked: ScimRequest) -> ScimAnswer:
        """A page of users and groups together."""
        search = _search(SearchRequest[User | Group], asked)
        ids, groups = self._people.ids(asked.organisation), self._groups.every(asked.organisation)
        _comparable([*ids, *groups])
        found: list[User | Group] = [*self._users(asked, ids)]
        found += [self._group(asked, one) for one in groups]
        if search.filter is not None:
            found = [one for one in found if search.filter.match(one)]
        return _listed(ListResponse[User | Group], search, len(found), _page(search, found))

    # -- inside ----------------------------------------------------------------------------------

    def _user(self, asked: ScimRequest, person_id: str) -> User:
        return user_of(self._people.get(asked.organisation, person_id), asked.base)

    def _users(self, asked: ScimRequest, ids: Sequence[str]) -> list[User]:
        return [user_of(one, asked.base) for one in self._people.some(asked.organisation, ids)]

    def _users_named(self, asked: ScimRequest, what: str, value: str) -> list[User] | None:
        """Those whom a filter names by what they are found by; None: it is by something else."""
        organisation = asked.organisation
        found: Sequence[ProvisionedPerson | None]
        if what == "username":
            found = [self._people.named(organisation, value)]
        elif what == "externalid":
            found = self._people.with_external_id(organisation, value)
        elif what in ("emails", "emails.value"):
            found = [self._people.with_email(organisation, value)]
        elif what == "id":
            try:
                found = [self._people.get(organisation, value)]
            except InputError:
                found = []
        else:
            return None
        return [user_of(one, asked.base) for one in found if one is not None]

    def _change_user(
        self,
        asked: ScimRequest,
        person_id: str,
        changed: Callable[[User], User],
        context: Context,
    ) -> ScimAnswer:
        with _changing:
            before = self._people.get(asked.organisation, person_id)
            there = user_of(before, asked.base)
            _check_version(asked, there)
            wanted = wanted_person(changed(there), before)
            after = self._people.change(asked.organisation, person_id, wanted, by=asked.token)
        return _shown(asked, user_of(after, asked.base), context)

    def _group(self, asked: ScimRequest, group: ProvisionedGroup, *, bare: bool = False) -> Group:
        members = [] if bare else self._groups.members(group.group_id)
        return group_of(group, members, asked.base)

    def _change_group(
        self,
        asked: ScimRequest,
        group_id: str,
        changed: Callable[[Group], Group],
        context: Context,
    ) -> ScimAnswer:
        with _changing:
            there = self._group(asked, self._groups.get(asked.organisation, group_id))
            _check_version(asked, there)
            wanted = wanted_group(changed(there))
            after = self._groups.change(asked.organisation, group_id, wanted, by=asked.token)
        return _shown(asked, self._group(asked, after), context)


# -- what this server says of itself ---------------------------------------------------------------


def configuration(_asked: ScimRequest) -> ScimAnswer:
    """What this server can do."""
    assert PROVIDER.config is not None
    return ScimAnswer(200, _json(PROVIDER.config))


def schemas(_asked: ScimRequest) -> ScimAnswer:
    """What resources have."""
    found = PROVIDER.schemas
    return _listed(ListResponse[Schema], SearchRequest[Schema](), len(found), found)


def schema(_asked: ScimRequest, named: str) -> ScimAnswer:
    """What resources of one kind have."""
    for one in PROVIDER.schemas:
        if str(one.id).casefold() == named.casefold():
            return ScimAnswer(200, _json(one))
    raise NotFoundException(detail="there is no such schema.")


def resource_types(_asked: ScimRequest) -> ScimAnswer:
    """Which resources there are."""
    found = PROVIDER.resource_types
    return _listed(ListResponse[ResourceType], SearchRequest[ResourceType](), len(found), found)


def resource_type(_asked: ScimRequest, named: str) -> ScimAnswer:
    """One kind of resource."""
    for one in PROVIDER.resource_types:
        if one.id == named:
            return ScimAnswer(200, _json(one))
    raise NotFoundException(detail="there is no such resource type.")


# -- reading a request -----------------------------------------------------------------------------


def _search(search: type[SearchRequest[Listed]], asked: ScimRequest) -> SearchRequest[Listed]:
    said = members(asked.query).get("filter")
    if isinstance(said, str) and len(said) > _LONGEST_FILTER:
        raise InvalidFilterException(detail=f"a filter has {_LONGEST_FILTER} characters at most.")
    return search.model_validate(asked.query)


def _parameters(asked: ScimRequest) -> ResponseParameters[User | Group]:
    said = {
        name: value
        for name, value in members(asked.query).items()
        if name in ("attributes", "excludedAttributes")
    }
    return ResponseParameters[User | Group].model_validate(said)


def _patch(body: object) -> object:
    operations = members(body).get("Operations")
    if isinstance(operations, list) and len(operations) > _MOST_OPERATIONS:
        raise PayloadTooLargeException(detail=f"a patch has {_MOST_OPERATIONS} operations at most.")
    return body


def _named(asked: ScimFilter[Listed] | None) -> tuple[str, str] | None:
    """What a filter of one comparison names by which value: `("username", "ada")`."""
    node = None if asked is None else asked.ast
    if not isinstance(node, Comparison) or node.op != CompareOperator.eq:
        return None
    if not isinstance(node.value, str) or node.attr_path.uri:
        return None
    path = node.attr_path
    what = path.attr if path.sub_attr is None else f"{path.attr}.{path.sub_attr}"
    return what.casefold(), node.value


def _group_is(group: ProvisionedGroup, what: str, value: str) -> bool:
    if what == "displayname":
        return group.name.casefold() == value.casefold()
    return value == (group.external_id if what == "externalid" else group.group_id)


def _leaves_out_members(search: SearchRequest[Group]) -> bool:
    return "members" in {str(one).casefold() for one in search.excluded_attributes or ()}


def _comparable(every: Sequence[Some]) -> Sequence[Some]:
    if len(every) > MOST_COMPARED:
        raise TooManyException(
            detail=f"such a filter is compared with {MOST_COMPARED} at the most; ask by userName, "
            "externalId, displayName or id, with eq."
        )
    return every


def _page(search: SearchRequest[Listed], every: Sequence[Some]) -> Sequence[Some]:
    start = search.start_index_0 or 0
    count = MOST_AT_ONCE if search.count is None else min(search.count, MOST_AT_ONCE)
    return every[start : start + count]


def _check_version(asked: ScimRequest, resource: User | Group) -> None:
    if asked.matches is not None and not _is_one(asked.matches, resource):
        raise PreconditionFailedException(detail="it was changed since; look at it again.")


def _is_one(versions: str, resource: User | Group) -> bool:
    """Whether a resource has one of the versions of a header (RFC 9110, 8.8.3.2: weakly)."""
    assert resource.meta is not None
    said = {one.strip().removeprefix("W/") for one in versions.split(",")}
    return "*" in said or str(resource.meta.version).removeprefix("W/") in said


# -- writing an answer -----------------------------------------------------------------------------


def _listed(
    listing: type[ListResponse[Listed]],
    search: SearchRequest[Listed],
    total: int,
    page: Sequence[Listed],
) -> ScimAnswer:
    answer = listing(
        total_results=total,
        start_index=search.start_index or 1,
        items_per_page=len(page),
        resources=[*page],
    )
    said = answer.model_dump_json(
        scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=search
    )
    return ScimAnswer(200, said)


def _shown(
    asked: ScimRequest,
    resource: User | Group,
    context: Context = Context.RESOURCE_QUERY_RESPONSE,
) -> ScimAnswer:
    assert resource.meta is not None
    version = resource.meta.version
    if asked.unless is not None and _is_one(asked.unless, resource):
        return ScimAnswer(304, version=version)
    said = resource.model_dump_json(scim_ctx=context, response_parameters=_parameters(asked))
    return ScimAnswer(200, said, version)


def _made(asked: ScimRequest, resource: User | Group) -> ScimAnswer:
    assert resource.meta is not None
    said = resource.model_dump_json(
        scim_ctx=Context.RESOURCE_CREATION_RESPONSE, response_parameters=_parameters(asked)
    )
    return ScimAnswer(201, said, resource.meta.version, str(resource.meta.location))


def _json(resource: ServiceProviderConfig | Schema | ResourceType) -> str:
    return resource.model_dump_json(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
