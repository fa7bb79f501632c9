"""Errors of the API as problem details (RFC 9457): what is wrong and what to do, in our words."""

import json
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"


class Problem(BaseModel):
    """Why a request was refused."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field("about:blank", max_length=2048, description="always about:blank: `status` and `detail` tell all")
    title: str = Field(max_length=100, description="the name of the status")
    status: int = Field(ge=400, le=599)
    detail: str = Field(max_length=4000, description="what is wrong and what to do, for people")


def problem(status: int, detail: str) -> Response:
    """The answer for a refusal."""
    phrase = HTTPStatus(status).phrase
    content = {"type": "about:blank", "title": phrase, "status": status, "detail": detail[:4000]}
    return Response(json.dumps(content), status, media_type=MEDIA_TYPE)
