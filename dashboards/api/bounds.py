"""The values that requests may hold, each with its bounds. Pure."""

from enum import StrEnum
from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dashboards.access.names import MAX_NAME, MAX_PASSWORD, NAME_PATTERN
from dashboards.user import Role
from protocol.commands import MAX_AUDIT_ENTRIES, MAX_PATH
from protocol.fields import MAX_SEATS

MAX_RATE: Final = 1_000_000_000_000
"""[bit/s] a terabit, beyond every interface"""

PLAIN_PATTERN: Final = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$"
"""Text of one line without control characters; markup is harmless where nobody interprets it."""

_TSI: Final = r"^[0-9a-f]{16}$"
_RECEIVER: Final = r"^[0-9a-f]{32}$"


def _is_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it must not hold invisible or control characters")
    return text


Text = Annotated[str, Field(min_length=1, max_length=64, pattern=PLAIN_PATTERN), AfterValidator(_is_printable)]
OptionalText = Annotated[str, Field(max_length=64), AfterValidator(_is_printable)]
PathText = Annotated[str, Field(min_length=1, max_length=MAX_PATH, pattern=PLAIN_PATTERN)]
Tsi = Annotated[str, Path(pattern=_TSI, description="transport session identifier, 16 hex digits")]
ReceiverIdPath = Annotated[str, Path(pattern=_RECEIVER, description="of the receiver's present run, 32 hex digits")]
ReceiverId = Annotated[str, Field(pattern=_RECEIVER)]
Machines = Annotated[list[Text], Field(min_length=1, max_length=MAX_SEATS)]
ReceiverIds = Annotated[list[ReceiverId], Field(min_length=1, max_length=MAX_SEATS)]
Version = Annotated[int, Field(ge=0, le=1 << 31, strict=True)]
Rate = Annotated[int, Field(ge=0, le=MAX_RATE, strict=True)]
SeatCount = Annotated[int, Field(ge=0, le=MAX_SEATS, strict=True)]
Moment = Annotated[float, Field(ge=0, le=1e11, strict=True, allow_inf_nan=False)]
ImageName = Annotated[Text, Path(description="name of the image")]
ImageVersion = Annotated[int, Path(ge=1, le=1 << 31, description="version of the image")]
AccountName = Annotated[str, Path(pattern=NAME_PATTERN, max_length=MAX_NAME)]
NewName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=MAX_NAME)]
Password = Annotated[str, Field(min_length=1, max_length=MAX_PASSWORD, json_schema_extra={"format": "password"})]
Count = Annotated[int, Query(ge=1, le=MAX_AUDIT_ENTRIES)]


class RoleWord(StrEnum):
    """A role, as the API says it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def role(self) -> Role:
        """The role that is meant."""
        return Role[self.name]

    @classmethod
    def of(cls, role: Role) -> "RoleWord":
        """The word for a role."""
        return cls[role.name]


class Body(BaseModel):
    """Base of what requests send: a field that is not known is an error, never ignored."""

    model_config = ConfigDict(extra="forbid")
