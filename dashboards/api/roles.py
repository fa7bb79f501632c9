"""What a route asks of whoever calls it."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.routing import APIRoute

from dashboards.user import Role, User


class Needs:
    """A dependency: the user behind a request, if the role is enough."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, request: Request) -> User:
        """Who calls.

        Raises:
            HTTPException: nobody (401), or somebody who may not (403).
        """
        user = getattr(request.state, "user", None)
        if not isinstance(user, User):
            raise HTTPException(401, "log in, or send a token")
        if user.role < self.role:
            raise HTTPException(403, f"this takes the role {self.role.name.lower()}: ask an admin for it")
        return user


Viewer = Annotated[User, Depends(Needs(Role.VIEWER))]
Operator = Annotated[User, Depends(Needs(Role.OPERATOR))]
Admin = Annotated[User, Depends(Needs(Role.ADMIN))]


def api_routes(api: FastAPI) -> list[APIRoute]:
    """Every route of an API made by ``create_api``; FastAPI itself makes them one by one when they are asked for."""
    return [
        route for router in getattr(api.state, "routers", ()) for route in router.routes if isinstance(route, APIRoute)
    ]


def role_of(route: APIRoute) -> Role:
    """What a route asks of whoever calls it; every route asks something."""
    return next(each.call.role for each in route.dependant.dependencies if isinstance(each.call, Needs))
