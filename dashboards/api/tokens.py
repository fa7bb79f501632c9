"""Tokens: how programs prove who they act for."""

from typing import Annotated

from fastapi import APIRouter, Path

from dashboards.access.access import Access
from dashboards.access.tokens import Token
from dashboards.api.bounds import Body, Moment, NewName, RoleWord
from dashboards.api.errors import UnknownError
from dashboards.api.roles import Viewer
from dashboards.user import Role, User

TokenId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


class TokenShown(Body):
    """A token without its secret."""

    token_id: str
    name: str
    account: str
    role: RoleWord
    created_at: float
    """seconds since 1970"""
    last_used_at: float | None
    """seconds since 1970, within the hour; null before the first use"""
    expires_at: float | None
    """seconds since 1970; null for never"""


class NewToken(Body):
    """A token to be made."""

    name: NewName
    role: RoleWord
    """not more than one's own"""
    expires_at: Moment | None = None
    """seconds since 1970; null for never"""


class MadeToken(TokenShown):
    """A token with its secret, this once."""

    secret: str


def tokens_router(access: Access) -> APIRouter:
    """Routes under /tokens."""
    router = APIRouter(prefix="/tokens", tags=["tokens"])

    @router.get("", summary="One's own tokens; an admin sees all")
    async def show_tokens(user: Viewer) -> list[TokenShown]:
        return [_shown(token) for token in access.tokens.of(None if user.role is Role.ADMIN else user.name)]

    @router.post("", status_code=201, summary="Make a token; its secret is shown this once")
    async def make_token(user: Viewer, body: NewToken) -> MadeToken:
        token, secret = access.tokens.make(user, body.name, body.role.role, body.expires_at)
        return MadeToken(**_shown(token).model_dump(), secret=secret)

    @router.delete("/{token_id}", status_code=204, summary="Revoke a token")
    async def revoke_token(user: Viewer, token_id: TokenId) -> None:
        if not _may_revoke(user, access.tokens.get(token_id)):
            raise UnknownError("you have no such token: look at the list again")
        access.tokens.revoke(token_id)

    return router


def _may_revoke(user: User, token: Token | None) -> bool:
    return token is not None and (user.role is Role.ADMIN or token.account == user.name)


def _shown(token: Token) -> TokenShown:
    return TokenShown(
        token_id=token.token_id,
        name=token.name,
        account=token.account,
        role=RoleWord.of(token.role),
        created_at=token.created_at,
        last_used_at=token.last_used_at,
        expires_at=token.expires_at,
    )
