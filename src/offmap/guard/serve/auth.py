"""Who may ask: whoever holds the token. Health and the bare page are open to all."""

import hmac
from hashlib import sha256
from pathlib import Path

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from offmap.attempt import InputError, readable

OPEN = {"/", "/page.js", "/page.css", "/v2/health/live", "/v2/health/ready"}
VARIABLE = "OFFMAP_TOKEN"
SHORTEST = 16  # characters of a token


class Doorkeeper:
    """Lets requests pass that carry the token; the others get 401.

    Args:
        app: What is behind the door.
        token: As in `Authorization: Bearer <token>`.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self._digest = sha256(token.encode()).digest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] in OPEN or self._knows(scope):
            return await self.app(scope, receive, send)
        refusal = JSONResponse(
            {"error": "expected the token of this service in the header Authorization: Bearer"},
            401,
            {"www-authenticate": "Bearer", "connection": "close"},
        )
        return await refusal(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        """Digests are compared, in constant time: neither content nor length of the token leaks."""
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        kind, _, token = (given[0] if len(given) == 1 else b"").partition(b" ")
        same = hmac.compare_digest(sha256(token.strip()).digest(), self._digest)
        return same and kind.lower() == b"bearer"


def checked(token: str, where: str) -> str:
    """The token without the space around it.

    Raises:
        InputError: If it is too short to be a secret, or cannot stand in a header.
    """
    token = token.strip()
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"{where}: expected a token of at least {SHORTEST} plain characters without spaces: "
            "make one with `openssl rand -hex 32`"
        )
    return token


def read_token(file: Path) -> str:
    """The token in a file.

    Raises:
        InputError: If there is none.
    """
    return checked(readable(lambda: file.read_text(encoding="utf-8"), str(file)), str(file))
