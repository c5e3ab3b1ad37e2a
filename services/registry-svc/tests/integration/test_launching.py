"""Servers of whole models as real processes: started, adopted after a restart, started again, and never confused."""

import asyncio
import io
import os
import signal
import sys
import tarfile
import uuid
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa

from loopwright.contracts.registry import DEPLOYMENT_CHANGED
from loopwright.errors import Conflict, ServingUnavailable
from loopwright_local.settings import free_ports
from registry_svc.adapters.vllm_processes import ProcessMark, VllmProcesses
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.launching import LaunchTemplates
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.handlers.model_servers import LaunchLimits, want_server
from registry_svc.handlers.promotions import Order
from registry_svc.handlers.room import hold_adapter
from registry_svc.handlers.standby import deploy, undeploy
from registry_svc.jobs.launching import ServerKeeper
from registry_svc.queries.deployments import read_deployment
from registry_svc.store.models import add_model, get_model
from registry_svc.store.tables import model_servers


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


pytestmark = pytest.mark.integration
# answers as vLLM does: /health, and one completion for the name that it was given
SERVER = """
import http.server, json, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
class Door(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200); self.send_header("content-length", str(len(content))); self.end_headers()
        self.wfile.write(content)
    def do_GET(self): self.answer({})
    def do_POST(self): self.answer({"model": given["--served-model-name"], "choices": [{"text": "1"}]})
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(given["--port"])), Door).serve_forever()
"""


class Launching:
    """A world that may start servers for whole models."""

    def __init__(self, world, folder: Path, base_model: str) -> None:
        self.world, self.folder, self.base_model = world, folder, base_model
        (folder / "server.py").write_text(SERVER)
        self.command: tuple[str, ...] = (sys.executable, str(folder / "server.py"))
        self.means = replace(world.means, limits=LaunchLimits(ports=free_ports(2), budget_bytes=None))

    def keeper(self) -> ServerKeeper:
        """As of a process that has just started."""
        self.processes = VllmProcesses(log_dir=self.folder / "logs", env={}, stop_timeout_s=3)
        templates = LaunchTemplates(command=self.command)
        return ServerKeeper(self.means, processes=self.processes, templates=templates, grace_s=0)

    async def whole_model(self) -> ModelVersion:
        artifact = await self.world.storage.put_bytes(
            tar_of({"config.json": b"{}", "model.safetensors": b"\2\0\0\0\0\0\0\0{}"}),
            kind="models", suffix=".tar", media_type="application/x-tar",
        )  # fmt: skip
        async with self.world.work() as unit:
            base = await get_model(unit.session, VariantId(self.base_model, 1))
            model = replace(
                base, variant=VariantId(self.world.task_id, 1), task_id=self.world.task_id, artifact=artifact,
                format=ModelFormat.HUGGINGFACE, subject=f"job:{uuid.uuid4().hex}",
            )  # fmt: skip
            await add_model(unit.session, model)
        return model

    async def rows(self) -> list[dict[str, object]]:
        return await self.world.rows("model_servers")

    async def pid(self) -> int:
        (row,) = await self.rows()
        assert isinstance(row["pid"], int)
        return row["pid"]


@pytest_asyncio.fixture(loop_scope="session")
async def launching(world, base_model, tmp_path: Path) -> AsyncGenerator[Launching]:
    await world.declare_and_serve()
    launching = Launching(world, tmp_path, base_model)
    yield launching
    for row in await launching.rows():
        if row["pid"] is not None:
            with suppress(ProcessLookupError):
                os.kill(row["pid"], signal.SIGKILL)


async def until_state(launching: Launching, keeper: ServerKeeper, state: str) -> None:
    async with asyncio.timeout(30):
        while True:
            await keeper.step()
            if [row["state"] for row in await launching.rows()] == [state]:
                return
            await asyncio.sleep(0.1)


async def order(launching: Launching) -> Order:
    async with launching.world.work() as unit:
        revision = (await read_deployment(unit, launching.world.task_id)).revision
    return Order(task_id=launching.world.task_id, revision=revision, reason="try it", by="somebody")


async def test_a_whole_model_gets_a_server_of_its_own_and_loses_it_when_nothing_needs_it(launching):
    world, keeper = launching.world, launching.keeper()
    model = await launching.whole_model()
    with pytest.raises(ServingUnavailable, match="about to be started"):
        await deploy(model.variant, await order(launching), launching.means)
    assert len(await world.announced(DEPLOYMENT_CHANGED)) == 1
    await until_state(launching, keeper, "ready")
    await deploy(model.variant, await order(launching), launching.means)

    said = (await world.announced(DEPLOYMENT_CHANGED))[-1]
    (row,) = await launching.rows()
    assert said.candidates[0].backend_urls == (f"http://127.0.0.1:{row['port']}",)
    assert set(said.champion.backend_urls) == {world.vllm.url, world.second_vllm.url}
    await world.restoring.step()  # an adapter of its base model it is not
    assert world.vllm.adapters == {}

    pid = await launching.pid()
    await undeploy(model.variant, await order(launching), launching.means)
    for _ in range(4):
        await keeper.step()
    assert await launching.rows() == []
    assert not launching.processes.is_running(ProcessMark(pid, str(row["process_start"])))


async def test_it_outlives_us_and_is_found_again_even_if_we_could_not_write_it_down(launching):
    model = await launching.whole_model()
    async with launching.world.work() as unit:
        await want_server(model, unit, limits=launching.means.limits)
        await hold_adapter(model.variant, unit)
    await until_state(launching, launching.keeper(), "ready")
    pid = await launching.pid()

    await until_state(launching, launching.keeper(), "ready")  # we were started again
    assert await launching.pid() == pid
    async with launching.world.work() as unit:
        await unit.session.execute(sa.update(model_servers).values(pid=None, process_start=None, state="waiting"))
    await until_state(launching, launching.keeper(), "ready")  # and again, killed before the row was saved
    assert await launching.pid() == pid


async def test_one_that_dies_is_started_again_later_and_says_why(launching):
    model = await launching.whole_model()
    launching.command = (sys.executable, "-c", "raise SystemExit('no such weights')")
    async with launching.world.work() as unit:
        await want_server(model, unit, limits=launching.means.limits)
        await hold_adapter(model.variant, unit)
    keeper = launching.keeper()
    async with asyncio.timeout(30):
        while not (row := (await launching.rows())[0])["failures"]:
            await keeper.step()
            await asyncio.sleep(0.05)
    assert "no such weights" in row["reason"]
    await keeper.step()
    assert (await launching.rows())[0]["pid"] is None  # not before its time


async def test_a_process_that_only_has_the_number_is_never_killed(launching):
    processes = VllmProcesses(log_dir=launching.folder, env={}, stop_timeout_s=1)
    stranger = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    try:
        await processes.stop(ProcessMark(stranger.pid, "another boot:12345"))
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_server_that_ignores_the_polite_signal_is_killed(launching):
    processes = VllmProcesses(log_dir=launching.folder, env={}, stop_timeout_s=0.5)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    mark = processes.start("stubborn", (sys.executable, "-c", stubborn), marker="stubborn@1")
    async with asyncio.timeout(20):
        while processes.last_words("stubborn") != "up":  # noqa: ASYNC110 - another process says it
            await asyncio.sleep(0.05)
    await processes.stop(mark)
    assert not processes.is_running(mark)


async def test_weights_and_ports_are_limited(launching):
    model = await launching.whole_model()
    for limits, code in (
        (LaunchLimits(ports=[1], budget_bytes=1), "serving.memory-exhausted"),
        (LaunchLimits(ports=[], budget_bytes=None), "serving.ports-exhausted"),
    ):
        async with launching.world.work() as unit:
            with pytest.raises(Conflict) as refused:
                await want_server(model, unit, limits=limits)
        assert refused.value.code == code
