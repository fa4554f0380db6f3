"""Roles of the two servers, and credentials as they are shown."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import AwareDatetime

from yoi_bundles.errors import ForbiddenError
from yoi_bundles.model.base import Model

Role: TypeAlias = Literal["publisher", "operator", "runtime", "browser", "backend"]
"""``backend`` is the role of a Backend on a Runtime's own API."""


class CredentialView(Model):
    """A credential without anything to sign in with."""

    name: str
    role: Role
    created_at: AwareDatetime
    """When its newest token was made."""
    old_created_at: AwareDatetime | None = None
    """When the older token was made that is good beside it, if there is one."""
    old_expires_at: AwareDatetime | None = None
    """When the older one ends by itself."""


class NewCredential(CredentialView):
    """A credential just made; the token is shown this once."""

    token: str


def verify_role(caller: CredentialView, *roles: Role) -> None:
    """Let only these roles through.

    Raises:
        ForbiddenError: Another role.
    """
    if caller.role not in roles:
        raise ForbiddenError(
            f"the role {caller.role} may not do this", hint=f"needs {' or '.join(roles)}"
        )
