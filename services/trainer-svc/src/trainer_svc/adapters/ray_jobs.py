"""Recipes as jobs of a Ray cluster, by its job submission API over HTTP; Ray itself is not needed here.

Of the API (Ray 2.x, port 8265 of the head) it uses `POST /api/jobs/` {entrypoint, submission_id, metadata, runtime_env,
entrypoint_num_cpus, entrypoint_num_gpus}, `GET /api/jobs/`, `GET /api/jobs/{id}` {status, message, driver_exit_code},
`GET /api/jobs/{id}/logs` {logs} and `POST /api/jobs/{id}/stop`. The cluster's machines see the folder of the jobs and
of the base models under the same path as this one, and have this package installed.
"""

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal
from uuid import uuid4

import httpx
import structlog
from pydantic import BaseModel, JsonValue, SecretStr

from loopwright.errors import DependencyError
from trainer_svc.adapters.launch import Nodes, Running, command

_log = structlog.get_logger()
_STOPPED = 75  # what the recipe exits with after SIGTERM; Ray does not say it
_LOST = 69  # Ray knows nothing of a job that it had taken
_PYTHON = "python"  # whatever the cluster's machines call by this name
_JOB = "loopwright_job"


class _Details(BaseModel):
    """What Ray says of a job."""

    status: Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
    submission_id: str | None = None
    message: str | None = None
    driver_exit_code: int | None = None
    metadata: dict[str, str] | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in {"STOPPED", "SUCCEEDED", "FAILED"}

    @property
    def exit_status(self) -> int:
        if self.status != "FAILED":
            return _STOPPED if self.status == "STOPPED" else 0
        return 1 if self.driver_exit_code is None else self.driver_exit_code


class RayLauncher:
    """Submits one job to Ray for each machine that a recipe runs on.

    Args:
        address: Of the head's dashboard, such as `http://raycluster-head-svc:8265`.
        token: Bearer token, where the cluster asks for one.
        nodes: Machines for each job.
        grace_s: Time for a checkpoint after a stop, before Ray kills the processes.
        poll_s: Time between two looks at what a job said. Ray hands out a job's whole log each time.
        patience_s: Time that Ray may be away before a job that is to start goes back to the queue.
    """

    def __init__(
        self,
        address: str,
        *,
        token: SecretStr | None = None,
        nodes: int = 1,
        grace_s: float = 60,
        poll_s: float = 1,
        patience_s: float = 60,
    ) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
        # a connection for each question: they are few, and a head that moves is found at its new place
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.AsyncClient(base_url=address, headers=headers, timeout=30, limits=limits)
        self.machines = nodes
        self._grace_s = grace_s
        self._poll_s = poll_s
        self._patience_s = patience_s

    async def launch(
        self, module: str, job_file: Path, *, devices: tuple[str, ...], sharding: str | None, log_file: Path
    ) -> Running:
        """Ends what earlier attempts may have left running, and submits the job.

        Raises:
            DependencyError: Ray is away, or refuses the job.
        """
        job, attempt = job_file.parent.name, uuid4().hex[:8]
        await self._end_earlier(job)
        nodes = Nodes(
            count=1 if sharding is None else self.machines, meeting=f"file:{job_file.parent / f'.meeting-{attempt}'}"
        )
        names: list[str] = []
        for rank in range(nodes.count):
            arguments = command(
                module, job_file, devices=devices, sharding=sharding, nodes=replace(nodes, rank=rank), python=_PYTHON
            )
            names.append(f"{job}-{attempt}-{rank}")
            await self._submit(names[-1], (_PYTHON, *arguments), job=job, devices=devices)
        return RayRun(self._http, names, log_file=log_file, poll_s=self._poll_s)

    async def _end_earlier(self, job: str) -> None:
        """A job outlives the service that submitted it, and two must never share a folder."""
        while True:
            listed = await self._ask("GET", "/api/jobs/")
            known = [_Details.model_validate(entry) for entry in listed.json()]
            alive = [entry for entry in known if (entry.metadata or {}).get(_JOB) == job and not entry.has_ended]
            if not alive:
                return
            for entry in alive:
                _log.warning("ray.ends-earlier", submission_id=entry.submission_id)
                await self._ask("POST", f"/api/jobs/{entry.submission_id}/stop")
            await asyncio.sleep(self._poll_s)

    async def _submit(self, name: str, arguments: tuple[str, ...], *, job: str, devices: tuple[str, ...]) -> None:
        gpus = sum(device.startswith("cuda") for device in devices)
        variables: dict[str, JsonValue] = {"RAY_JOB_STOP_WAIT_TIME_S": str(int(self._grace_s)), "PYTHONUNBUFFERED": "1"}
        request: dict[str, JsonValue] = {
            "entrypoint": f"exec {shlex.join(arguments)}",
            "submission_id": name,
            "metadata": {_JOB: job},
            "runtime_env": {"env_vars": variables},
            "entrypoint_num_gpus": gpus,
            "entrypoint_num_cpus": len(devices) - gpus,
        }
        try:
            await self._ask("POST", "/api/jobs/", request)
        except DependencyError:
            # an answer may have been lost on the way; the name tells whether the job was taken
            known = await self._http.get(f"/api/jobs/{name}")
            if known.is_error:
                raise

    async def _ask(self, method: str, path: str, content: dict[str, JsonValue] | None = None) -> httpx.Response:
        give_up_at = asyncio.get_running_loop().time() + self._patience_s
        while True:
            try:
                answer = await self._http.request(method, path, json=content)
            except httpx.TransportError as error:
                if asyncio.get_running_loop().time() > give_up_at:
                    raise DependencyError("launcher.unavailable", f"Ray does not answer: {error!r}") from error
                await asyncio.sleep(self._poll_s)
            else:
                if answer.is_error:
                    detail = f"Ray refuses with {answer.status_code}: {answer.text[:300]}"
                    raise DependencyError("launcher.refused", detail, status=answer.status_code)
                return answer


class RayRun:
    """A recipe that runs as jobs of Ray, the first of which speaks for all."""

    def __init__(self, http: httpx.AsyncClient, names: list[str], *, log_file: Path, poll_s: float) -> None:
        self._http = http
        self._names = names
        self._log_file = log_file
        self._poll_s = poll_s
        self._seen = 0
        self._status: int | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def lines(self) -> AsyncIterator[bytes]:
        """What the first job says; everything else that it prints goes to the log file."""
        while self._status is None:
            details = await self._look()
            text = await self._logs(self._names[0])
            whole = len(text) if details.has_ended else text.rfind("\n") + 1
            fresh, self._seen = text[self._seen : whole], max(self._seen, whole)
            for line in fresh.splitlines():
                if line.startswith('{"kind":'):
                    yield line.encode()
                else:
                    self._note(line)
            if details.has_ended:
                await self._end(details)
            else:
                await asyncio.sleep(self._poll_s)

    async def wait(self) -> int:
        async for _ in self.lines():
            pass
        assert self._status is not None
        return self._status

    def ask_to_stop(self) -> None:
        """SIGTERM to all processes, by Ray; until it answers, it is asked again."""
        if self._status is None and self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(self._names))

    def kill(self) -> None:
        """Ray has no other way to kill than to ask first."""
        self.ask_to_stop()

    async def _stop(self, names: list[str]) -> None:
        for name in names:
            while True:
                try:
                    await self._http.post(f"/api/jobs/{name}/stop")
                except httpx.TransportError:
                    await asyncio.sleep(self._poll_s)
                else:
                    break

    async def _look(self) -> _Details:
        while True:
            try:
                answer = await self._http.get(f"/api/jobs/{self._names[0]}")
            except httpx.TransportError:  # the job runs on: it can be waited for
                await asyncio.sleep(self._poll_s)
                continue
            if answer.status_code == 404:
                return _Details(status="FAILED", driver_exit_code=_LOST, message="Ray has lost the job")
            if answer.is_success:
                return _Details.model_validate_json(answer.content)
            await asyncio.sleep(self._poll_s)

    async def _logs(self, name: str) -> str:
        with suppress(httpx.TransportError):
            answer = await self._http.get(f"/api/jobs/{name}/logs")
            if answer.is_success:
                return str(answer.json()["logs"])
        return ""

    async def _end(self, details: _Details) -> None:
        if details.status == "FAILED":
            self._note(f"Ray: {details.message}")
        others = self._names[1:]
        await self._stop(others)
        for name in others:
            self._note(await self._logs(name))
        self._status = details.exit_status

    def _note(self, text: str) -> None:
        with self._log_file.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
