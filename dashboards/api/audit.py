"""The audit log of the broadcaster: who ordered what, and whether nobody has changed it since."""

from typing import Any

from fastapi import APIRouter

from dashboards.api.bounds import Body, Count
from dashboards.api.roles import Admin
from dashboards.desk import Desk


class Audit(Body):
    """The newest entries."""

    entries: list[dict[str, Any]]
    """as docs/protocol.md describes AuditEntry"""
    is_intact: bool
    """no entry was changed, taken out or put in"""
    verdict: str


def audit_router(desk: Desk) -> APIRouter:
    """Routes under /audit."""
    router = APIRouter(prefix="/audit", tags=["audit"])

    @router.get("", summary="The newest entries of the audit log")
    async def show_audit(user: Admin, count: Count = 500) -> Audit:
        return Audit.model_validate(await desk.audit(user, count))

    return router
