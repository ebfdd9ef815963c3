"""The HTTP application: its routes, its problems, its description. Imported when the gateway starts, in a thread."""

from functools import partial
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from aiagentchat import __version__
from aiagentchat.core.errors import AppError, ExchangeRefused
from aiagentchat.core.exchange import Caller
from aiagentchat.gateway import models
from aiagentchat.gateway.door import FAILED
from aiagentchat.gateway.front import PROBLEM_SCHEMA, PROBLEMS, Front, caller_of
from aiagentchat.gateway.mcp import INSTANCE_HEADER, mount
from aiagentchat.gateway.mistakes import mistaken
from aiagentchat.gateway.problems import MEDIA_TYPE, Refusal, Trouble
from aiagentchat.gateway.routes import daemon, messages, service, tasks

_OPEN = {("/health", "get"), ("/ready", "get"), ("/login", "post")}
"""What needs no token in its header."""

log = structlog.get_logger(__name__)


def create_app(front: Front) -> FastAPI:
    """The application."""
    app = FastAPI(
        title="aiagentchat gateway",
        version=__version__,
        summary="What programs of this machine ask of the daemon.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a path with one more is another path, and none of ours
        responses=PROBLEMS,
        separate_input_output_schemas=False,
    )
    for router in (
        messages.sending(front),
        messages.reading(front),
        messages.listening(front),
        tasks.tasks(front),
        daemon.daemon(front),
        service.rooms(front),
        service.messages(front),
        service.logins(front),
    ):
        app.include_router(router)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(described(app))

    mount(app, front.exchange, partial(_speaking, front), now_ms=front.clock.now_ms, put_file=front.put_file)
    _tell_problems(app)
    return app


def _speaking(front: Front, request: Request) -> Caller:
    """Whoever uses a tool, as the session that it says. Raises `ExchangeRefused`."""
    return front.sessions.speaking(caller_of(request), request.headers.get(INSTANCE_HEADER))


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description."""
    schema = app.openapi()  # the framework keeps it
    parts = schema.setdefault("components", {})
    parts.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    for name, examples in models.examples().items():
        parts["schemas"][name]["examples"] = examples  # the framework leaves out what is null
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schema["servers"] = [{"url": "http://127.0.0.1:8870"}]
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            if (path, method) not in _OPEN:
                operation["security"] = [{"token": []}]
    return schema


def _tell_problems(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        return _answer(refusal.trouble)

    @app.exception_handler(ExchangeRefused)
    async def not_exchanged(_: Request, refused: ExchangeRefused) -> Response:
        return _answer(Trouble(refused.code, str(refused)))

    @app.exception_handler(AppError)
    async def failed(_: Request, error: AppError) -> Response:
        log.error("gateway.unavailable", error=str(error))
        return _answer(Trouble("unavailable", error.human))

    @app.exception_handler(Exception)
    async def broken(_: Request, __: Exception) -> Response:
        return _answer(FAILED)  # the door logs it

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return _answer(mistaken(error.errors()))

    @app.exception_handler(HTTPException)
    async def no_route(_: Request, error: HTTPException) -> Response:
        match error.status_code:
            case 404:
                trouble = Trouble("no_route", "There is no such route.")
            case 405:
                trouble = Trouble("wrong_method", "The route has no such method.")
            case _:
                trouble = Trouble("malformed", "The body cannot be read.")
        return _answer(trouble, error.headers)


def _answer(trouble: Trouble, headers: Any = None) -> Response:  # noqa: ANN401 - as the framework has them
    return Response(trouble.body, status_code=trouble.status, media_type=MEDIA_TYPE, headers=headers)
