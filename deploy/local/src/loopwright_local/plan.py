"""Decides from the settings which parts a stack starts itself and which exist already, and where everything is."""

from dataclasses import dataclass

from loopwright_local.errors import LocalError
from loopwright_local.keys import Keys, ensure_keys
from loopwright_local.part import Part
from loopwright_local.parts.kafka import bootstrap, kafka_part
from loopwright_local.parts.mlflow import mlflow_part, mlflow_uri
from loopwright_local.parts.postgres import DATABASE, postgres_part, postgres_server
from loopwright_local.parts.services import Surroundings, common_env, service_parts
from loopwright_local.parts.vllm import vllm_part, vllm_urls
from loopwright_local.settings import PART_NAMES, LocalSettings


@dataclass(frozen=True)
class StackUrls:
    """Where everything is, once it runs."""

    kafka_bootstrap: str
    database: str
    mlflow: str
    vllm: tuple[str, ...]
    router: str
    dataset: str
    trainer: str
    registry: str
    feedback: str


@dataclass(frozen=True)
class Plan:
    """What a stack consists of.

    Attributes:
        parts: What is started, backing servers first.
        urls: Where each part is, started here or not.
        keys: Key files of the stack.
        env: What commands of the project need in their environment to work on this stack.
    """

    parts: tuple[Part, ...]
    urls: StackUrls
    keys: Keys
    env: dict[str, str]


def plan_stack(settings: LocalSettings) -> Plan:
    """Plan a stack; makes its keys on the first call.

    Raises:
        Missing: a program or file that a part needs is not there.
        LocalError: `without` names a part that does not exist.
    """
    keys = ensure_keys(settings.keys_dir)
    backing, database_url = _backing_parts(settings)
    around = Surroundings(database_url=database_url, keys=keys, started=frozenset(part.name for part in backing))
    every = (*backing, *service_parts(settings, around))
    unknown = settings.without - PART_NAMES
    if unknown:
        raise LocalError(f"LOCAL_WITHOUT names parts that do not exist: {', '.join(sorted(unknown))}")
    return Plan(
        parts=tuple(part for part in every if part.name not in settings.without),
        urls=_urls(settings, database_url),
        keys=keys,
        env=common_env(settings, around),
    )


def _backing_parts(settings: LocalSettings) -> tuple[tuple[Part, ...], str]:
    parts: list[Part] = []
    database_url = settings.database_url
    if database_url is None:
        server = postgres_server(settings)
        database_url = server.url(DATABASE)
        if "postgres" not in settings.without:
            parts.append(postgres_part(settings, server))
    own_postgres = tuple(part.name for part in parts)
    if settings.kafka_bootstrap is None and "kafka" not in settings.without:
        parts.append(kafka_part(settings))
    if settings.vllm_urls is None and "vllm" not in settings.without:
        parts.append(vllm_part(settings))
    if settings.mlflow_uri is None and "mlflow" not in settings.without:
        parts.append(mlflow_part(settings, database_url, needs=own_postgres))
    return tuple(parts), database_url


def _urls(settings: LocalSettings, database_url: str) -> StackUrls:
    return StackUrls(
        kafka_bootstrap=bootstrap(settings),
        database=database_url,
        mlflow=mlflow_uri(settings),
        vllm=vllm_urls(settings),
        router=f"http://127.0.0.1:{settings.router_port}",
        dataset=f"http://127.0.0.1:{settings.dataset_port}",
        trainer=f"http://127.0.0.1:{settings.trainer_port}",
        registry=f"http://127.0.0.1:{settings.registry_port}",
        feedback=f"http://127.0.0.1:{settings.feedback_port}",
    )
