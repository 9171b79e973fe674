"""The application: doors, endpoints, and one shape for everything that goes wrong.

401 no key, unknown, expired, revoked     403 the role or a scope is missing
404 no such job, fire or path             409 the scheduler refused, with its reason
413 too long a body                       422 malformed, with what was expected
429 too many wrong keys                   503 nobody leads, or a part does not answer
"""

from collections.abc import Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from scheduler.api import acting, reading
from scheduler.api.answers import Problem
from scheduler.api.bodies import BODY_BYTES_MAX
from scheduler.api.desk import Desk
from scheduler.api.door import Door
from schemas.errors import Transient

BAD_REQUEST: Final = 400
SHOWN_MAX: Final = 80
ERRORS_SHOWN_MAX: Final = 5
OURS: Final = "Value error, "
"""What pydantic puts before a sentence of ours."""

_WRONG: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": Problem, "description": "No key, or none that stands."},
    403: {"model": Problem, "description": "The role or a scope is missing."},
    404: {"model": Problem, "description": "No such job, fire or key."},
    413: {"model": Problem, "description": "Too long a body."},
    422: {"model": Problem, "description": "Malformed."},
    429: {"model": Problem, "description": "Too many wrong keys."},
    503: {"model": Problem, "description": "Nobody leads, or a part does not answer."},
}


def bearer(
    _: Annotated[object, Security(HTTPBearer(auto_error=False, description="An API key."))],
) -> None:
    """Tell readers of the OpenAPI document how a key is sent; the door has looked at it."""


def make(desk: Desk) -> FastAPI:
    """Return the application over a desk."""
    app = FastAPI(
        title="AEGIS control",
        version=version("aegis-streams"),
        description=__doc__ or "",
        docs_url=None,  # the pages load their script from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Security(bearer)],
        responses=_WRONG,
        max_body_size=BODY_BYTES_MAX,
    )
    app.state.desk = desk
    for each in (reading.router, acting.jobs, acting.keys):
        app.include_router(each)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Transient, _silent)
    app.add_middleware(Door, desk=desk)
    return app


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    said = "; ".join(map(_sentence, error.errors()[:ERRORS_SHOWN_MAX]))
    text = said.encode("ascii", "backslashreplace").decode()  # half a surrogate pair is no text
    return JSONResponse({"detail": text}, 422)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == BAD_REQUEST:  # the body is no text, or nests too deep
        return JSONResponse({"detail": "expected a body of JSON, was unreadable"}, 422)
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:
        detail = f"expected a path and a method of /openapi.json, was {detail.lower()}"
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


async def _silent(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503)


def _sentence(wrong: Mapping[str, Any]) -> str:
    where, said = ".".join(map(str, wrong["loc"]))[:SHOWN_MAX], str(wrong["msg"])
    if wrong["type"] == "json_invalid":
        return f"expected a body of JSON, was unreadable at character {wrong['loc'][-1]}"
    if wrong["loc"] == ("body",):
        return f"expected a JSON object sent as application/json, was {_shown(wrong['input'])}"
    if said.startswith(OURS):
        return f"{where}: {said.removeprefix(OURS)}"
    return f"{where}: {said}, was {_shown(wrong.get('input'))}"


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."
