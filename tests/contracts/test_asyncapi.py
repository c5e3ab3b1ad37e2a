"""The AsyncAPI document is a well-formed AsyncAPI 3.0 document that says what the registry says."""

from collections.abc import Iterator

import jsonschema
import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from pydantic import JsonValue

from loopwright.broker import Consumer, RetryPolicy
from loopwright.contracts.asyncapi import asyncapi_document, pipeline_graph
from loopwright.contracts.base import Event
from loopwright.contracts.registry import TOPICS, Party, Topic
from loopwright.topics import wanted_topics

REFERENCE = {
    "type": "object", "required": ["$ref"], "additionalProperties": False,
    "properties": {"$ref": {"type": "string", "pattern": "^#/"}},
}  # fmt: skip
BINDING = {"type": "object", "required": ["bindingVersion"]}

# the parts of the AsyncAPI 3.0.0 specification that this document uses, strictly
SHAPE = {
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "additionalProperties": False,
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {"type": "object", "required": ["title", "version"]},
        "defaultContentType": {"const": "application/json"},
        "channels": {
            "type": "object",
            "propertyNames": {"pattern": r"^[\w.\-]+$"},
            "additionalProperties": {
                "type": "object",
                "required": ["address", "messages", "bindings"],
                "additionalProperties": False,
                "properties": {
                    "address": {"type": "string"},
                    "title": {"type": "string"},
                    "description": {"type": "string"},
                    "messages": {"type": "object", "minProperties": 1, "additionalProperties": REFERENCE},
                    "bindings": {
                        "type": "object",
                        "required": ["kafka"],
                        "properties": {
                            "kafka": BINDING
                            | {
                                "properties": {
                                    "topic": {"type": "string"},
                                    "partitions": {"type": "integer", "minimum": 1},
                                    "topicConfiguration": {
                                        "type": "object",
                                        "properties": {
                                            "cleanup.policy": {
                                                "type": "array",
                                                "items": {"enum": ["compact", "delete"]},
                                            },
                                            "retention.ms": {"type": "integer", "minimum": -1},
                                            "max.message.bytes": {"type": "integer", "minimum": 1},
                                        },
                                        "additionalProperties": False,
                                    },
                                    "bindingVersion": {"const": "0.5.0"},
                                },
                                "additionalProperties": False,
                            }
                        },
                    },
                },
            },
        },
        "operations": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["action", "channel", "messages"],
                "additionalProperties": False,
                "properties": {
                    "action": {"enum": ["send", "receive"]},
                    "channel": REFERENCE,
                    "messages": {"type": "array", "minItems": 1, "items": REFERENCE},
                    "bindings": {"type": "object", "properties": {"kafka": BINDING}, "additionalProperties": False},
                },
            },
        },
        "components": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "schemas": {"type": "object", "additionalProperties": {"type": "object"}},
                "messages": {
                    "type": "object",
                    "additionalProperties": {
                        "type": "object",
                        "required": ["name", "title", "summary", "headers", "payload"],
                        "properties": {
                            "name": {"type": "string"},
                            "summary": {"type": "string", "minLength": 10},
                            "headers": {"type": "object"},
                            "payload": {"type": "object"},
                            "contentType": {"const": "application/json"},
                            "correlationId": {"type": "object", "required": ["location"]},
                            "bindings": {"type": "object", "properties": {"kafka": BINDING}},
                            "title": {"type": "string"},
                        },
                        "additionalProperties": False,
                    },
                },
            },
        },
    },
}
DOCUMENT = asyncapi_document()
every_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def references(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolve(reference: str) -> JsonValue:
    found: JsonValue = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_the_document_has_the_shape_of_asyncapi_3() -> None:
    jsonschema.Draft202012Validator.check_schema(SHAPE)
    jsonschema.Draft202012Validator(SHAPE).validate(DOCUMENT)
    assert ApplicationSchema.model_validate(DOCUMENT).asyncapi == "3.0.0"


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 3 * len(TOPICS)
    for reference in found:
        resolve(reference)


def test_the_messages_of_an_operation_are_messages_of_its_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{operation['channel']['$ref']}/messages/")


@every_topic
def test_a_topic_and_its_dead_letters_are_channels_as_kafka_should_have_them(topic: Topic[Event]) -> None:
    wanted = {topic.name: topic for topic in wanted_topics(1)}
    for name in (topic.name, topic.dead_letter_name):
        binding = DOCUMENT["channels"][name]["bindings"]["kafka"]
        assert DOCUMENT["channels"][name]["address"] == binding["topic"] == name
        assert binding["partitions"] == wanted[name].num_partitions
        settings = binding["topicConfiguration"]
        assert settings["cleanup.policy"] == [wanted[name].topic_configs["cleanup.policy"]]
        assert str(settings.get("retention.ms")) == str(wanted[name].topic_configs.get("retention.ms"))


@every_topic
def test_every_party_of_a_topic_has_its_operation(topic: Topic[Event]) -> None:
    operations = DOCUMENT["operations"]
    for party in topic.producers:
        assert operations[f"{party}.send.{topic.name}"]["action"] == "send"
    for party in topic.consumers:
        assert operations[f"{party}.receive.{topic.name}"]["action"] == "receive"
    assert f"operators.receive.{topic.dead_letter_name}" in operations


@every_topic
def test_the_groups_are_those_that_consumers_really_join(topic: Topic[Event]) -> None:
    for party in set(topic.consumers) - {Party.ROUTER, Party.OPERATORS}:
        consumer = Consumer(party, None, policy=RetryPolicy(), on_stop=print)
        operation = DOCUMENT["operations"][f"{party}.receive.{topic.name}"]
        assert operation["bindings"]["kafka"]["groupId"]["const"] == consumer.group_of(topic)


@every_topic
def test_the_picture_shows_every_arrow(topic: Topic[Event]) -> None:
    lines = pipeline_graph().splitlines()
    node = topic.name.replace(".", "_")
    for party in topic.producers:
        assert f"  {party.replace('-', '_')} --> {node}" in lines
    for party in topic.consumers:
        assert f"  {node} --> {party.replace('-', '_')}" in lines
