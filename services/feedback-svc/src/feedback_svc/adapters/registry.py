"""registry-svc over HTTP: the only thing asked of it is to put an earlier champion back in charge."""

from http import HTTPStatus
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from loopwright.errors import Conflict, DependencyError, NotFound, NotPermitted, PlatformError, RuleRefused

_TIMEOUT_S = 60  # it may have to load the adapter first


class Deployment(BaseModel):
    """What serves a task, as far as a rollback needs it."""

    revision: int
    champion: str


class _Problem(BaseModel):
    code: str = "registry.refused"
    detail: str = "registry-svc refused without a reason"


_REFUSALS: dict[int, type[RuleRefused]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.UNAUTHORIZED: NotPermitted,
    HTTPStatus.FORBIDDEN: NotPermitted,
}


class Registry:
    """Asks in the name of the person who asked us, with that person's token: registry-svc judges and records who it was."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/admin/deployments"

    async def roll_back(self, task_id: str, *, reason: str, authorization: str) -> tuple[Deployment, Deployment]:
        """Puts the champion before the current one back in charge.

        Returns:
            The deployment before and after.

        Raises:
            RuleRefused: registry-svc refuses.
            DependencyError: it does not answer.
        """
        headers = {"Authorization": authorization}
        path = f"{self._url}/{quote(task_id, safe='')}"
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, headers=headers) as client:
            before = await _answer(client, "GET", path)
            after = await _answer(client, "POST", f"{path}/rollback", revision=before.revision, reason=reason)
        return before, after


async def _answer(client: httpx.AsyncClient, method: str, url: str, **body: str | int) -> Deployment:
    try:
        response = await client.request(method, url, json=body or None)
    except httpx.HTTPError as error:
        raise DependencyError("registry.unavailable", "registry-svc does not answer") from error
    if response.is_success:
        try:
            return Deployment.model_validate_json(response.content)
        except ValidationError as error:
            raise DependencyError("registry.unreadable", "registry-svc's answer cannot be read") from error
    raise _refusal(response)


def _refusal(response: httpx.Response) -> PlatformError:
    if response.is_server_error:
        return DependencyError("registry.unavailable", f"registry-svc answers {response.status_code}")
    try:
        problem = _Problem.model_validate_json(response.content)
    except ValidationError:
        problem = _Problem()
    return _REFUSALS.get(response.status_code, Conflict)(problem.code, problem.detail)
