"""POST /v1/ratings: the public door of ratings."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from loopwright.problems import declared
from loopwright.telemetry import current_traceparent
from router_svc.api.guarding import Admitted
from router_svc.api.schemas import AcceptedRating, AcceptedRatings, RatingBatch, RatingBody
from router_svc.handlers.rating import RatingDesk, accept_ratings

_MAX_BODY_BYTES = 16 << 20
_PROBLEMS = declared(
    HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.GONE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip


def rating_routes(desk: RatingDesk) -> APIRouter:
    router = APIRouter(tags=["ratings"], max_body_size=_MAX_BODY_BYTES)

    @router.post("/v1/ratings", status_code=HTTPStatus.ACCEPTED, responses=_PROBLEMS)
    async def rate(body: RatingBody, caller: Admitted, response: Response) -> AcceptedRatings:
        ratings = body.ratings if isinstance(body, RatingBatch) else (body,)
        events = await accept_ratings(desk, [rating.draft() for rating in ratings], tenant=caller.tenant)
        if traceparent := current_traceparent():
            response.headers["traceparent"] = traceparent
        items = tuple(
            AcceptedRating(rating_id=event.rating_id, inference_id=event.inference_id, task_id=event.task_id)
            for event in events
        )
        return AcceptedRatings(items=items, total=len(items))

    return router
