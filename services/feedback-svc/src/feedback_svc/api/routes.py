"""HTTP's door: all routes of the service."""

from fastapi import APIRouter

from feedback_svc.api import experiments, feedback, learning


def all_routes() -> APIRouter:
    routes = APIRouter()
    for part in (experiments, learning, feedback):
        routes.include_router(part.routes)
    return routes
