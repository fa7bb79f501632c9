"""Accounts: who may log in, and as what."""

from fastapi import APIRouter, Request

from dashboards.access.access import Access
from dashboards.access.accounts import Account
from dashboards.api.bounds import AccountName, Body, NewName, Password, RoleWord
from dashboards.api.errors import UnknownError
from dashboards.api.roles import Admin, Viewer


class AccountShown(Body):
    """An account as others may see it."""

    name: str
    role: RoleWord
    created_at: float
    """seconds since 1970"""
    changed_at: float
    """seconds since 1970, of role or password"""


class Me(Body):
    """Who calls."""

    name: str
    role: RoleWord


class NewAccount(Body):
    """An account to be made."""

    name: NewName
    password: Password
    role: RoleWord


class NewPassword(Body):
    """A password for somebody else."""

    password: Password


class OwnPassword(Body):
    """A password for oneself."""

    old_password: Password
    new_password: Password


class NewRole(Body):
    """Another role."""

    role: RoleWord


def accounts_router(access: Access) -> APIRouter:
    """Routes under /accounts and /me."""
    router = APIRouter(tags=["accounts"])

    def known(name: str) -> None:
        if access.accounts.get(name) is None:
            raise UnknownError("there is no such account: look at the list again")

    @router.get("/me", summary="Who calls, and what they may do")
    async def show_me(user: Viewer) -> Me:
        return Me(name=user.name, role=RoleWord.of(user.role))

    @router.put("/me/password", status_code=204, summary="Change one's own password; every login of it ends")
    async def change_own_password(user: Viewer, request: Request, body: OwnPassword) -> None:
        address = request.client.host if request.client else ""
        known(user.name)
        await access.change_own_password(user, body.old_password, body.new_password, address)

    @router.get("/accounts", summary="All accounts")
    async def show_accounts(user: Admin) -> list[AccountShown]:
        return [_shown(account) for account in access.accounts.all()]

    @router.post("/accounts", status_code=201, summary="Make an account")
    async def add_account(user: Admin, body: NewAccount) -> AccountShown:
        return _shown(await access.add_account(body.name, body.password, body.role.role))

    @router.put("/accounts/{name}/password", status_code=204, summary="Set a password; every login of it ends")
    async def set_password(user: Admin, name: AccountName, body: NewPassword) -> None:
        known(name)
        await access.set_password(name, body.password)

    @router.put("/accounts/{name}/role", summary="Set a role; every login of the account ends")
    async def set_role(user: Admin, name: AccountName, body: NewRole) -> AccountShown:
        known(name)
        return _shown(access.accounts.set_role(name, body.role.role))

    @router.delete("/accounts/{name}", status_code=204, summary="Remove an account with its logins and tokens")
    async def remove_account(user: Admin, name: AccountName) -> None:
        known(name)
        access.accounts.remove(name)

    return router


def _shown(account: Account) -> AccountShown:
    return AccountShown(
        name=account.name,
        role=RoleWord.of(account.role),
        created_at=account.created_at,
        changed_at=account.changed_at,
    )
