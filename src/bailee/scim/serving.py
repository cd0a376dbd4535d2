"""Which SCIM request is answered by what, and how what goes wrong is said.

Rules kept here:

* A refusal of the library's names attributes and what is wrong with them, never what was sent.

Standard: RFC 7644, 3.2 and 3.12.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from pydantic import ValidationError
from scim2_models import (
    Error,
    NotFoundException,
    NotImplementedException,
    SCIMException,
)

from bailee.accounts import PeopleRegistry
from bailee.scim import service
from bailee.scim.resources import PROVIDER
from bailee.scim.service import ScimAnswer, ScimRequest, ScimService

__all__ = ["ScimRequest", "serve"]

_One = Callable[[ScimService, ScimRequest, str], ScimAnswer]
_All = Callable[[ScimService, ScimRequest], ScimAnswer]
_PATH: Final = re.compile(r"/([A-Za-z]+)(?:/([^/]{1,200}))?")
_EVERY: Final[Mapping[tuple[str, str], _All]] = {
    ("GET", "Users"): ScimService.users,
    ("POST", "Users"): ScimService.add_user,
    ("GET", "Groups"): ScimService.groups,
    ("POST", "Groups"): ScimService.add_group,
    ("GET", "ServiceProviderConfig"): lambda _, asked: service.configuration(asked),
    ("GET", "Schemas"): lambda _, asked: service.schemas(asked),
    ("GET", "ResourceTypes"): lambda _, asked: service.resource_types(asked),
}
_SINGLE: Final[Mapping[tuple[str, str], _One]] = {
    ("GET", "Users"): ScimService.user,
    ("PUT", "Users"): ScimService.replace_user,
    ("PATCH", "Users"): ScimService.patch_user,
    ("DELETE", "Users"): ScimService.remove_user,
    ("GET", "Groups"): ScimService.group,
    ("PUT", "Groups"): ScimService.replace_group,
    ("PATCH", "Groups"): ScimService.patch_group,
    ("DELETE", "Groups"): ScimService.remove_group,
    ("GET", "Schemas"): lambda _, asked, named: service.schema(asked, named),
    ("GET", "ResourceTypes"): lambda _, asked, named: service.resource_type(asked, named),
}
_SEARCH: Final = ".search"
_NO_METHOD: Final = "this address has no such method."
_NOT_HERE: Final = frozenset({"Me", "Bulk"})


def serve(registry: PeopleRegistry, method: str, path: str, asked: ScimRequest) -> ScimAnswer:
    """What is answered to a request of `path`, below the service's address.

    Raises:
        BaileeError: what the home says against it.
    """
    try:
        with PROVIDER:
            return _served(ScimService(registry), method, path, asked)
    except SCIMException as error:
        return _said(error.to_error())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return _said(Error.from_validation_error(first))


def _served(scim: ScimService, method: str, path: str, asked: ScimRequest) -> ScimAnswer:
    found = _PATH.fullmatch(path)
    kind, named = (None, None) if found is None else found.groups()
    if kind in _NOT_HERE:
        raise NotImplementedException(detail="this is not done here.")
    if path == f"/{_SEARCH}" and method == "POST":
        return scim.search(replace(asked, query=asked.body))
    if named == _SEARCH and method == "POST":  # the query is in the body
        method, named, asked = "GET", None, replace(asked, query=asked.body)
    if kind is not None and named is None and (all_of := _EVERY.get((method, kind))):
        return all_of(scim, asked)
    if kind is not None and named is not None and (one := _SINGLE.get((method, kind))):
        return one(scim, asked, named)
    allowed = [of[0] for of in (_EVERY if named is None else _SINGLE) if of[1] == kind]
    if allowed:
        return ScimAnswer(405, _said(Error(status=405, detail=_NO_METHOD)).body, allow=allowed)
    raise NotFoundException(detail="there is nothing at this address.")


def _said(error: Error) -> ScimAnswer:
    return ScimAnswer(error.status or 400, error.model_dump_json())
