"""GET /v1/models: tasks, and variants that can be asked for by name, as the OpenAI API lists models."""

from collections.abc import Iterator
from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from loopwright.errors import NotFound
from loopwright.problems import declared
from router_svc.adapters.board import Board
from router_svc.api.guarding import Identified
from router_svc.api.openai_errors import OpenAiErrorAnswer, error_answer
from router_svc.domain.callers import Caller
from router_svc.domain.snapshot import Snapshot

_PROBLEMS = declared(HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)


class Model(BaseModel):
    """Something that can be asked."""

    id: str = Field(description="a task, or `<task>@<variant_id>`")
    object: str = "model"
    created: int = Field(description="when the task was defined, seconds since 1970")
    owned_by: str = "loopwright"


class Models(BaseModel):
    """All that can be asked, in one page as the OpenAI API has it."""

    object: str = "list"
    data: list[Model]


def model_routes(board: Board) -> APIRouter:
    router = APIRouter(tags=["inference"], responses=_PROBLEMS)

    @router.get("/v1/models")
    async def list_models(caller: Identified) -> Models:
        return Models(data=list(_models(board.snapshot, caller)))

    @router.get(
        "/v1/models/{model_id:path}",
        response_model=Model,
        responses={HTTPStatus.NOT_FOUND: {"model": OpenAiErrorAnswer}},
    )
    async def get_model(model_id: str, caller: Identified) -> Model | Response:
        found = next((model for model in _models(board.snapshot, caller) if model.id == model_id), None)
        if found is not None:
            return found
        error = NotFound("router.unknown-model", f"The model `{model_id[:200]}` does not exist")
        status, _, content = error_answer(error)
        return Response(content, status_code=status, media_type=JSONResponse.media_type)

    return router


def _models(snapshot: Snapshot, caller: Caller) -> Iterator[Model]:
    """What a caller may ask; he hears of nothing else."""
    for task in snapshot.tasks.values():
        deployment = snapshot.deployments.get(task.task_id)
        if deployment is None or not caller.may_ask(task.task_id):
            continue
        created = int(task.defined_at.timestamp())
        yield Model(id=task.task_id, created=created)
        for target in (deployment.champion, *deployment.candidates):
            yield Model(id=f"{task.task_id}@{target.variant_id}", created=created)
