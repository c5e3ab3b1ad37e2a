"""One Kafka 4.1 node in KRaft mode, broker and controller in one JVM, from jars out of Maven."""

import asyncio
import shutil
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from loopwright_local.errors import Missing
from loopwright_local.part import Part, PortClaim
from loopwright_local.probes import kafka_probe
from loopwright_local.processes import run_as
from loopwright_local.settings import ROOT, LocalSettings

LOG_CONFIG = ROOT / "deploy/local/kafka/log4j2.properties"


def kafka_part(settings: LocalSettings) -> Part:
    folder = settings.dir / "kafka"
    config = folder / "server.properties"
    # tiered compilation stops at C1: half the start time, and this broker never runs long enough to miss C2
    java = (settings.java, f"-Xmx{settings.kafka_heap_mb}m", "-XX:TieredStopAtLevel=1")
    java = (*java, f"-Dlog4j2.configurationFile={LOG_CONFIG}", "-cp", f"{_jars(settings)}/*")

    async def prepare() -> None:
        await asyncio.to_thread(_prepare, config, java=java, properties=_properties(settings, folder / "data"))

    return Part(
        name="kafka",
        command=(*java, "kafka.Kafka", str(config)),
        ready=kafka_probe(bootstrap(settings)),
        prepare=prepare,
        ports=(
            PortClaim("LOCAL_KAFKA_PORT", settings.kafka_port),
            PortClaim("LOCAL_KAFKA_CONTROLLER_PORT", settings.kafka_controller_port),
        ),
        url=bootstrap(settings),
    )


def bootstrap(settings: LocalSettings) -> str:
    return settings.kafka_bootstrap or f"127.0.0.1:{settings.kafka_port}"


def _jars(settings: LocalSettings) -> Path:
    jars = settings.assets_dir / "kafka" / "libs"
    if shutil.which(settings.java) is None:
        raise Missing(f"no `{settings.java}` on the path: apt-get install openjdk-17-jre-headless, or set LOCAL_JAVA")
    if not any(jars.glob("kafka_2*.jar")):
        raise Missing(f"Kafka's jars are not in {jars}: run `make setup`")
    return jars


def _properties(settings: LocalSettings, data_dir: Path) -> str:
    client, controller = settings.kafka_port, settings.kafka_controller_port
    values = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{client}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data_dir),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # 5 ms by default, which every offset commit of every client would wait
        "group.coordinator.append.linger.ms": "0",
        "group.initial.rebalance.delay.ms": "0",
        # a node that was killed is not let in again before its old session has expired (9 s by default)
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _prepare(config: Path, *, java: tuple[str, ...], properties: str) -> None:
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(properties)
    data_dir = config.parent / "data"
    if (data_dir / "meta.properties").exists():
        return
    # formatting writes this file last; without it the folder is what an interrupted attempt left
    shutil.rmtree(data_dir, ignore_errors=True)
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # joined by "=", for one id in 64 begins with "-" and would be read as an option
    command = (*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", str(config))
    run_as(None, "formatting Kafka's log folder", command, env={}, cwd=config.parent)
