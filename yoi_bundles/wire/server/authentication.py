"""Who asks, and whether there is time for them; decided before one byte of body is read.

This is ASGI middleware and not a dependency, because a framework reads the body before it asks its
dependencies.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from yoi_bundles.errors import BundleError, TooManyRequestsError, UnauthenticatedError
from yoi_bundles.wire.answers.responses import CLOSE, EncodedResponse, problem_response
from yoi_bundles.wire.answers.throttle import Throttle
from yoi_bundles.wire.at_once.before_routes import AtOnce
from yoi_bundles.wire.at_once.waits import has_waited
from yoi_bundles.wire.messages.roles import CredentialView

OPEN_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/metrics", "/openapi.json"})
"""Paths that say nothing about bundles and ask for no credential."""

Authenticate = Callable[[str], CredentialView]


class AuthenticationMiddleware:
    """Sets ``scope["state"]["caller"]``, or answers 401 or 429 before the body is read.

    A known token is never refused for what others do at its address: behind a proxy all callers
    may have the same one.

    Args:
        authenticate: Token to credential, or `UnauthenticatedError`.
    """

    def __init__(self, app: AtOnce, authenticate: Authenticate, throttle: Throttle) -> None:
        self._app = app
        self._authenticate = authenticate
        self._throttle = throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a known caller on."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            caller = self._authenticate(_token_of(scope))
            if not has_waited(scope):
                self._throttle.begin(caller.name)
        except BundleError as error:
            await self._refuse(error, scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        if has_waited(scope):
            # It was counted when it came, and is known to be one of few that wait.
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._throttle.end(caller.name)

    def at_once(self, scope: Scope) -> EncodedResponse | None:
        """See `AtOnce`; whoever is to be refused is not counted here."""
        if scope["path"] in OPEN_PATHS:
            return None
        try:
            caller = scope["state"]["caller"] = self._authenticate(_token_of(scope))
            answer = self._app.at_once(scope)
            if answer is not None and not has_waited(scope):
                # Nothing that counts as under way follows, so it ends with its beginning.
                self._throttle.begin(caller.name)
                self._throttle.end(caller.name)
        except BundleError:
            return None
        return answer

    async def _refuse(self, error: BundleError, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {}
        if isinstance(error, UnauthenticatedError):
            try:
                self._throttle.note_failure((scope.get("client") or ("unknown",))[0])
            except TooManyRequestsError as busy:
                error, headers = busy, CLOSE
            else:
                if scope["path"].startswith("/git/"):
                    headers = {"www-authenticate": 'Basic realm="yoi-bundles"'}
        await problem_response(error, headers)(scope, receive, send)


def _token_of(scope: Scope) -> str:
    """The token of a request: Bearer, or on ``/git/`` the password of Basic (git knows no other).

    Raises:
        UnauthenticatedError: None, several, or not in a form that is known.
    """
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(values) != 1:
        raise UnauthenticatedError(
            "one Authorization header is needed", hint="Authorization: Bearer <token>"
        )
    scheme, _, rest = values[0].partition(b" ")
    if scheme.lower() == b"bearer":
        return str(rest.strip().decode("latin-1"))
    if scheme.lower() == b"basic" and scope["path"].startswith("/git/"):
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2].decode()
        except (binascii.Error, UnicodeDecodeError):
            raise UnauthenticatedError("the Authorization header is malformed") from None
    raise UnauthenticatedError("only bearer tokens are known here")
