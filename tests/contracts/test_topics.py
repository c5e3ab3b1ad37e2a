"""The registry holds the topics of the design, and nothing else names one."""

import ast
import re
from pathlib import Path

import pytest

from loopwright.contracts.base import Event
from loopwright.contracts.registry import (
    INFERENCE_COMPLETED,
    INFERENCE_RATED,
    TOPICS,
    Party,
    Topic,
    topic_named,
    topic_of,
)
from loopwright.testing.examples import an_event
from loopwright.topics import wanted_topics

ROOT = Path(__file__).parents[2]
REGISTRY = ROOT / "libs/common/src/loopwright/contracts/registry.py"

# written down by hand from the design's table of services and its section on events
DESIGN = {
    "dataset.requested", "dataset.validated", "dataset.rejected", "dataset.deprecated", "user.erased",
    "job.requested", "job.progressed", "job.finished",
    "task.defined", "model.registered", "model.evaluated", "deployment.changed",
    "inference.completed", "inference.rated",
    "experiment.changed", "experiment.concluded", "alert.raised",
    "log.received", "feedback.received",
}  # fmt: skip
COMPACTED = {"task.defined", "deployment.changed", "experiment.changed"}
every_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def test_every_topic_of_the_design_is_declared_and_no_other() -> None:
    assert {topic.name for topic in TOPICS} == DESIGN
    assert len(TOPICS) == len(DESIGN)


def test_the_topics_that_hold_current_state_are_compacted() -> None:
    assert {topic.name for topic in TOPICS if topic.retention is None} == COMPACTED


def test_an_inference_and_its_ratings_meet_in_the_same_partition() -> None:
    assert INFERENCE_COMPLETED.partitions == INFERENCE_RATED.partitions
    assert INFERENCE_COMPLETED.key == INFERENCE_RATED.key == "inference_id"


@every_topic
def test_a_topic_is_named_as_a_fact(topic: Topic[Event]) -> None:
    subject, _, deed = topic.name.partition(".")
    assert re.fullmatch(r"[a-z]+", subject)
    assert re.fullmatch(r"[a-z]+ed", deed), "past tense; no underscore, which Kafka's metrics confuse with a dot"
    assert topic.event.__name__ == subject.capitalize() + deed.capitalize()


@every_topic
def test_a_topic_is_complete(topic: Topic[Event]) -> None:
    assert topic.key in topic.event.model_fields
    assert topic.event.model_fields[topic.key].is_required(), "a record without a key lands anywhere"
    assert topic.producers
    assert topic.consumers
    assert topic.description.endswith(".")


@every_topic
def test_an_event_finds_its_topic_by_class_and_by_name(topic: Topic[Event]) -> None:
    assert topic_of(an_event(topic)) is topic
    assert topic_named(topic.name) is topic


def test_only_services_and_known_parties_are_named() -> None:
    services = {folder.name for folder in (ROOT / "services").iterdir()}
    assert {str(party) for party in Party} - {"upstream-apps", "operators"} == services


def test_every_topic_has_a_dead_letter_topic_that_outlives_it() -> None:
    wanted = {topic.name: topic for topic in wanted_topics(1)}
    for topic in TOPICS:
        dead = wanted[topic.dead_letter_name]
        assert dead.topic_configs["cleanup.policy"] == "delete"
        kept_ms = wanted[topic.name].topic_configs.get("retention.ms")
        if kept_ms is not None and topic.retention.days <= 90:
            assert int(dead.topic_configs["retention.ms"]) >= int(kept_ms)


def test_no_other_module_names_a_topic_by_string() -> None:
    forbidden = {name for topic in TOPICS for name in (topic.name, topic.dead_letter_name)}
    sources = [path for folder in ("libs", "services") for path in (ROOT / folder).rglob("*.py")]
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value}"
        for path in sources
        if path != REGISTRY and "tests" not in path.relative_to(ROOT).parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in forbidden
    ]
    assert found == [], "import the topic from loopwright.contracts.registry"
