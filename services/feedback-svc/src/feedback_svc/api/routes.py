"""HTTP's door: all routes of the service."""

from fastapi import APIRouter

from feedback_svc.api import alerts, experiments, exports, feedback, learning, reviewing


def all_routes() -> APIRouter:
    routes = APIRouter()
    for part in (experiments, learning, exports, reviewing, feedback, alerts):
        routes.include_router(part.routes)
    return routes
