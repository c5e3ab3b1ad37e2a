"""The MLflow tracking server and model registry: rows in PostgreSQL, artifacts in a folder."""

import sys

from loopwright_local.part import Part, PortClaim
from loopwright_local.parts.postgres import MLFLOW_DATABASE
from loopwright_local.probes import http_probe
from loopwright_local.settings import LocalSettings


def mlflow_part(settings: LocalSettings, database_url: str, *, needs: tuple[str, ...]) -> Part:
    """Describe the server.

    Args:
        settings: Ports and folders.
        database_url: URL of the services' database; MLflow's own lies beside it on the same server.
        needs: Parts that must be ready first.
    """
    artifacts = settings.dir / "mlflow" / "artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    server, _, _ = database_url.rpartition("/")
    return Part(
        name="mlflow",
        command=(
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(settings.mlflow_port)),
            *("--workers", "1", "--artifacts-destination", artifacts.resolve().as_uri()),
        ),
        env={
            # in the environment, not among the arguments: it holds a password
            "MLFLOW_BACKEND_STORE_URI": f"{server.replace('+asyncpg', '+psycopg', 1)}/{MLFLOW_DATABASE}",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        needs=needs,
        ready=http_probe(settings.mlflow_port, "/health"),
        ports=(PortClaim("LOCAL_MLFLOW_PORT", settings.mlflow_port),),
        url=mlflow_uri(settings),
    )


def mlflow_uri(settings: LocalSettings) -> str:
    return settings.mlflow_uri or f"http://127.0.0.1:{settings.mlflow_port}"
