# ruff: noqa: INP001 - a script
"""How long lists take with 100 and with 1,000 versions of 3 evaluations each: `python services/registry-svc/bench/lists.py`.

Starts a PostgreSQL of its own. Prints the median and the slowest of 40 requests beside the limit of 100 ms, and fails
above it: for the first page of 100 versions through the real app, with tokens checked, in one process.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
import sqlalchemy as sa
from pydantic import SecretStr

from loopwright.settings import CommonSettings
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from loopwright_local.processes import run_as
from loopwright_local.settings import ROOT
from loopwright_local.stack import LocalStack
from loopwright_local.testing import settings_for_tests
from registry_svc.main import build
from registry_svc.settings import Settings

LIMIT_MS = 100
REQUESTS = 40
_VERSIONS = """
INSERT INTO registry.model_versions (model_name, version, task_id, base_model, format, artifact, status, job_id,
    dataset_version_id, mlflow_version, mlflow_run_id, description, created_by, created_at, updated_at, tags, subject,
    status_changed_at)
SELECT 'mood-' || (n % 7), n, 'mood', 'tiny', 'lora',
    jsonb_build_object('uri', 'file:///a', 'sha256', repeat('a', 64), 'size_bytes', 1), 'archived', 'job-' || n, 'd1',
    n, 'run', 'adapter', 'bench', now(), now(), '{a,b}', 'job:job-' || n, now()
FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n
"""
_EVALUATIONS = """
INSERT INTO registry.evaluations (evaluation_id, job_id, task_id, task_version, candidate, champion, held_out_sha256,
    state, candidate_score, champion_score, passed, reasons, started_at, finished_at, requested_by)
SELECT 'e-' || n || '-' || k, 'job-' || n, 'mood', 1, 'mood-' || (n % 7) || ':' || n, 'tiny:1', repeat('b', 64),
    'finished', jsonb_build_object('cases', 200, 'right', 180, 'schema_valid', 200, 'mean_latency_ms', 10),
    jsonb_build_object('cases', 200, 'right', 170, 'schema_valid', 200, 'mean_latency_ms', 10), true, '{fine}', now(), now(), 'bench'
FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n, generate_series(1, 3) AS k
"""


async def timed(client: httpx.AsyncClient, path: str) -> list[float]:
    """Milliseconds of each request, after three that warm up."""
    times: list[float] = []
    for _ in range(REQUESTS + 3):
        began = time.perf_counter()
        (await client.get(path)).raise_for_status()
        times.append((time.perf_counter() - began) * 1000)
    return times[3:]


async def measure(url: str, folder: Path) -> bool:
    mint, keys = TokenMint(), folder / "jwks.json"
    keys.write_text(mint.jwks)
    common = CommonSettings(
        database_url=SecretStr(url), storage_uri=(folder / "storage").as_uri(), mlflow_uri="http://127.0.0.1:1",
        auth_jwks_file=keys, auth_issuer=ISSUER, auth_audience=AUDIENCE,
    )  # fmt: skip
    service = build(common, Settings(adapter_dir=folder, tasks_dir=folder))
    assert service.database is not None
    headers, fine = mint.header("viewer"), True
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry", headers=headers) as client:
        for first, last in ((1, 100), (101, 1000)):
            async with service.database.engine.begin() as connection:
                for statement in (_VERSIONS, _EVALUATIONS):
                    await connection.execute(sa.text(statement), {"first": first, "last": last})
                await connection.execute(sa.text("ANALYZE registry.evaluations"))
            for path in ("/models?limit=100", "/models?limit=100&status=archived&tag=a"):
                times = await timed(client, f"/api/v1/admin{path}")
                middle = statistics.median(times)
                fine = fine and middle < LIMIT_MS
                sys.stdout.write(
                    f"{last:5} versions, {last * 3:5} evaluations  GET {path:42} median {middle:6.1f} ms  "
                    f"slowest {max(times):6.1f} ms  limit {LIMIT_MS} ms\n"
                )
    await service.database.close()
    return fine


async def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with LocalStack(settings_for_tests(folder / "stack", "postgres"), quiet=True) as stack:
            command = (sys.executable, "-m", "loopwright.migrations", "services/registry-svc")
            env = {"LOOPWRIGHT_DATABASE_URL": stack.urls.database}
            await asyncio.to_thread(run_as, None, "migrations", command, env=env, cwd=ROOT)
            return 0 if await measure(stack.urls.database, folder) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
