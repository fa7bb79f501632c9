"""Who acts, and what each role may do. Pure."""

from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """What somebody may do; each may all that the ones before it may."""

    VIEWER = 1
    """look"""
    OPERATOR = 2
    """plan, start, stop; admit receivers; edit rooms"""
    ADMIN = 3
    """manage images, accounts, tokens; read the audit log"""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who has logged in, or whose token was presented."""

    name: str
    role: Role
