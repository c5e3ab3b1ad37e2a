"""What the registry says of producers and consumers is what the services' code does."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopwright.contracts import registry
from loopwright.contracts.registry import TOPICS, Party, Topic

ROOT = Path(__file__).parents[2]
TOPIC_CONSTANTS = {name: value for name, value in vars(registry).items() if isinstance(value, Topic)}
EVENT_TOPICS = {topic.event.__name__: topic.name for topic in TOPICS}
SERVICES = [Party.DATASET, Party.TRAINER, Party.REGISTRY, Party.ROUTER, Party.FEEDBACK]


def sources_of(party: Party) -> Iterator[ast.Module]:
    for path in sorted((ROOT / "services" / party / "src").rglob("*.py")):
        yield ast.parse(path.read_text())


def topics_subscribed_by(party: Party) -> set[str]:
    """Topics whose constants the service's Kafka door uses: for an `EventRouter`, or for the reader of a snapshot."""
    package = ROOT / "services" / party / "src" / party.replace("-", "_")
    return {
        TOPIC_CONSTANTS[node.id].name
        for path in [package / "events.py", *(package / "events").glob("**/*.py")]
        if path.exists()
        for module in [ast.parse(path.read_text())]
        for node in ast.walk(module)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in TOPIC_CONSTANTS
    }


def topics_announced_by(party: Party) -> set[str]:
    """Topics whose events the service's code makes, or writes as records."""
    calls = [
        node
        for module in sources_of(party)
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    made = {EVENT_TOPICS[call.func.id] for call in calls if call.func.id in EVENT_TOPICS}
    written = {
        TOPIC_CONSTANTS[word.value.value.id].name
        for call in calls
        if call.func.id == "OutboxRecord"
        for word in call.keywords
        if word.arg == "topic"
        and isinstance(word.value, ast.Attribute)
        and isinstance(word.value.value, ast.Name)
        and word.value.value.id in TOPIC_CONSTANTS
    }
    return made | written


@pytest.mark.parametrize("party", SERVICES)
def test_a_service_consumes_what_the_registry_declares(party: Party) -> None:
    assert topics_subscribed_by(party) == {topic.name for topic in TOPICS if party in topic.consumers}


@pytest.mark.parametrize("party", SERVICES)
def test_a_service_produces_what_the_registry_declares(party: Party) -> None:
    assert topics_announced_by(party) == {topic.name for topic in TOPICS if party in topic.producers}


@pytest.mark.parametrize("party", [party for party in SERVICES if party is not Party.ROUTER])
def test_a_service_subscribes_only_through_its_event_router(party: Party) -> None:
    folder = ROOT / "services" / party / "src"
    users = {
        path.relative_to(folder).parts[1]
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in TOPIC_CONSTANTS
    }
    assert users <= {"events.py", "events"}
