"""HTTP door of curation: what waits for a person, decisions over it, raters, and consent to training."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from feedback_svc.api.door import IdFilter, InPath, Opener
from feedback_svc.domain.reviewing import Decision
from feedback_svc.handlers.curation import reliabilities_by_task
from feedback_svc.handlers.reviewing import Ruling, change_consent, rule
from feedback_svc.queries.reviewing import (
    ConsentView,
    RaterView,
    ReviewView,
    WaitingView,
    get_consent,
    list_reviews,
    list_waiting,
    view_raters,
)
from loopwright.auth import Engineer, Viewer
from loopwright.contracts.base import Identifier, Storable
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS

routes = APIRouter(prefix="/api/v1/feedback", tags=["curation"], responses=ADMIN_PROBLEMS)


class RulingRequest(BaseModel):
    """A decision over a quarantined sample."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Decision = Field(description="accept: it teaches; reject: never; correct: the given answer teaches")
    answer: Annotated[Storable, Field(max_length=100_000)] | None = Field(
        default=None, description="the right answer, with `correct`"
    )
    note: Annotated[Storable, Field(max_length=2_000)] | None = Field(default=None, description="why, for colleagues")


class ConsentRequest(BaseModel):
    """Whether a person's conversations may be trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: bool = Field(description="false: from now on no export holds them, also those of before")


@routes.get("/review")
async def waiting(_: Viewer, opener: Opener, window: Part, task_id: IdFilter = None) -> Page[WaitingView]:
    """Quarantined samples, those first that are most doubtful and would teach most."""
    async with opener() as work:
        believed = await reliabilities_by_task(work, task_id=task_id)
        return await list_waiting(work.session, believed, window, task_id=task_id)


@routes.get("/review/decisions")
async def decisions(_: Viewer, opener: Opener, window: Part, task_id: IdFilter = None) -> Page[ReviewView]:
    async with opener() as work:
        return await list_reviews(work.session, window, task_id=task_id)


@routes.post("/review/{sample_id}", status_code=204)
async def decide(principal: Engineer, opener: Opener, sample_id: InPath, body: RulingRequest) -> None:
    """Decides over a quarantined sample; its raters are judged by the decision."""
    ruling = Ruling(
        sample_id=sample_id, decision=body.decision, answer=body.answer, note=body.note, by=principal.subject
    )
    async with opener() as work:
        await rule(ruling, work, now=datetime.now(UTC))


@routes.get("/raters")
async def raters(_: Viewer, opener: Opener, window: Part, task_id: Annotated[Identifier, Query()]) -> Page[RaterView]:
    """Raters whose judgement others, or a person who checks, have judged as well; the least believed first."""
    async with opener() as work:
        believed = await reliabilities_by_task(work, task_id=task_id)
        return view_raters(believed[task_id], window)


@routes.get("/consents/{unit_hash}")
async def consent(_: Viewer, opener: Opener, unit_hash: InPath) -> ConsentView:
    async with opener() as work:
        return await get_consent(work.session, unit_hash)


@routes.put("/consents/{unit_hash}")
async def put_consent(principal: Engineer, opener: Opener, unit_hash: InPath, body: ConsentRequest) -> ConsentView:
    async with opener() as work:
        await change_consent(unit_hash, work, training=body.training, by=principal.subject, now=datetime.now(UTC))
        return await get_consent(work.session, unit_hash)
