"""Acting as somebody else: ``kubectl --as``.  Every impersonated name, group, uid and extra needs the verb impersonate.

An adapter joins repeated headers by a newline (no header value can contain one), so groups may hold commas.

Upstream: ``staging/src/k8s.io/apiserver/pkg/endpoints/filters/impersonation``.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from sampan.api.errors import InternalError
from sampan.apiserver.forbidden import denial
from sampan.auth.authorize import Attributes, Authorizer
from sampan.auth.user import (
    ANONYMOUS,
    AUTHENTICATED_GROUP,
    UNAUTHENTICATED_GROUP,
    UserInfo,
    service_account_groups,
    split_service_account,
)

AUTHENTICATION = "authentication.k8s.io"
EXTRA_PREFIX = "impersonate-extra-"
PREFIX = "impersonate-"


def impersonate(user: UserInfo, headers: dict[str, str], authorizer: Authorizer) -> UserInfo:
    """The caller to go on with: ``user``, or whom its headers name. Raises: Forbidden, InternalError."""
    if not any(name.startswith(PREFIX) for name in headers):
        return user
    wanted = requested(headers)
    for attributes in needed(user, wanted):
        decision = authorizer.authorize(attributes)
        if not decision.allowed:
            raise denial(attributes, decision.reason)
    return complete(wanted)


def requested(headers: dict[str, str]) -> UserInfo:
    """Whom the headers name, as written. Raises: InternalError for groups, uid or extra without a user."""
    name, uid = headers.get("impersonate-user", ""), headers.get("impersonate-uid", "")
    groups = tuple(group for group in headers.get("impersonate-group", "").split("\n") if group)
    extra = {
        unquote(key.removeprefix(EXTRA_PREFIX)): tuple(value.split("\n"))
        for key, value in headers.items() if key.startswith(EXTRA_PREFIX)
    }
    if not name and (groups or extra or uid):
        raise InternalError(f"requested {list(groups) or uid or extra} without impersonating a user")
    return UserInfo(name, uid, groups, extra)


def needed(user: UserInfo, wanted: UserInfo) -> Iterator[Attributes]:
    """One question to the authorizer for each part that is impersonated."""
    account = split_service_account(wanted.name)
    if account:
        yield Attributes(user, "impersonate", "", "serviceaccounts", namespace=account[0], name=account[1])
    else:
        yield Attributes(user, "impersonate", "", "users", name=wanted.name)
    for group in wanted.groups:
        yield Attributes(user, "impersonate", "", "groups", name=group)
    for key, values in wanted.extra.items():
        for value in values:
            yield Attributes(user, "impersonate", AUTHENTICATION, "userextras", key, name=value)
    if wanted.uid:
        yield Attributes(user, "impersonate", AUTHENTICATION, "uids", name=wanted.uid)


def complete(wanted: UserInfo) -> UserInfo:
    """With the groups that the authenticator would have added."""
    groups = wanted.groups
    account = split_service_account(wanted.name)
    if account and not groups:
        groups = service_account_groups(account[0])
    added = UNAUTHENTICATED_GROUP if wanted.name == ANONYMOUS else AUTHENTICATED_GROUP
    if AUTHENTICATED_GROUP not in groups and UNAUTHENTICATED_GROUP not in groups:
        groups = (*groups, added)
    return UserInfo(wanted.name, wanted.uid, groups, wanted.extra)
