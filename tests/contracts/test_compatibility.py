"""The judge of schema changes, judged: every kind of break is found, and what breaks nobody passes."""

import copy
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from loopwright.contracts.base import Event, JsonObject
from loopwright.contracts.compatibility import compatibility_problems
from loopwright.contracts.registry import TOPICS, Topic
from loopwright.contracts.schemas import schema_of

Mutation = Callable[[JsonObject], object]


class Leaf(BaseModel):
    color: str = Field(pattern="^(green|brown)$", description="what one sees")


class Branch(BaseModel):
    leaves: list[Leaf] = Field(max_length=9)
    twigs: "list[Branch]" = Field(default_factory=list)


class Tree(BaseModel):
    model_config = ConfigDict(extra="ignore")

    height_m: float = Field(ge=0, lt=200)
    rings: int = 3
    kind: str = Field(json_schema_extra={"enum": ["ash", "elm"]})
    trunk: Branch
    crown: Branch | None = None
    notes: dict[str, int] = Field(default_factory=dict)


def tree_schema() -> JsonObject:
    return {"x-kafka-key": "kind", **Tree.model_json_schema()}


def drop_field(schema: JsonObject) -> None:
    del schema["properties"]["rings"]


def rename_field(schema: JsonObject) -> None:
    schema["properties"]["age"] = schema["properties"].pop("rings")


def add_required_field(schema: JsonObject) -> None:
    schema["properties"]["age"] = {"type": "integer"}
    schema["required"].append("age")


def require_optional_field(schema: JsonObject) -> None:
    schema["required"].append("rings")


def release_required_field(schema: JsonObject) -> None:
    schema["required"].remove("kind")


def narrow_type(schema: JsonObject) -> None:
    schema["properties"]["height_m"]["type"] = "integer"


def narrow_limit(schema: JsonObject) -> None:
    schema["properties"]["height_m"]["minimum"] = 1


def drop_enum_value(schema: JsonObject) -> None:
    schema["properties"]["kind"]["enum"].remove("elm")


def add_enum_value(schema: JsonObject) -> None:
    schema["properties"]["kind"]["enum"].append("oak")


def limit_to_values(schema: JsonObject) -> None:
    schema["properties"]["rings"]["enum"] = [1, 2, 3]


def change_nested_pattern(schema: JsonObject) -> None:
    schema["$defs"]["Leaf"]["properties"]["color"]["pattern"] = "^green$"


def drop_nested_field(schema: JsonObject) -> None:
    del schema["$defs"]["Leaf"]["properties"]["color"]


def shorten_nested_list(schema: JsonObject) -> None:
    schema["$defs"]["Branch"]["properties"]["leaves"]["maxItems"] = 2


def refuse_none(schema: JsonObject) -> None:
    schema["properties"]["crown"]["anyOf"].pop()


def change_values_of_a_mapping(schema: JsonObject) -> None:
    schema["properties"]["notes"]["additionalProperties"]["type"] = "string"


def refuse_unknown_fields(schema: JsonObject) -> None:
    schema["additionalProperties"] = False


def change_key(schema: JsonObject) -> None:
    schema["x-kafka-key"] = "rings"


@pytest.mark.parametrize(
    ("mutate", "place"),
    [
        (drop_field, "event.rings"),
        (rename_field, "event.rings"),
        (add_required_field, "event.age"),
        (require_optional_field, "event.rings"),
        (release_required_field, "event.kind"),
        (narrow_type, "event.height_m"),
        (narrow_limit, "event.height_m"),
        (drop_enum_value, "event.kind"),
        (add_enum_value, "event.kind"),
        (limit_to_values, "event.rings"),
        (change_nested_pattern, "event.trunk.leaves[].color"),
        (drop_nested_field, "event.trunk.leaves[].color"),
        (shorten_nested_list, "event.trunk.leaves"),
        (refuse_none, "event.crown"),
        (change_values_of_a_mapping, "event.notes[]"),
        (refuse_unknown_fields, "event[]"),
        (change_key, "event: x-kafka-key"),
    ],
)
def test_a_break_is_reported_at_its_place(mutate: Mutation, place: str) -> None:
    changed = tree_schema()
    mutate(changed)

    problems = compatibility_problems(tree_schema(), changed)

    assert [problem for problem in problems if problem.startswith(place)], problems


def add_optional_field(schema: JsonObject) -> None:
    schema["properties"]["age"] = {"type": "integer", "default": 1}


def add_optional_nested_field(schema: JsonObject) -> None:
    schema["$defs"]["Leaf"]["properties"]["spots"] = {"type": "integer", "default": 0}


def reword(schema: JsonObject) -> None:
    schema["$defs"]["Leaf"]["properties"]["color"] |= {"description": "its colour", "title": "C", "examples": ["green"]}


def rename_a_definition(schema: JsonObject) -> None:
    schema["$defs"]["Blade"] = schema["$defs"].pop("Leaf")
    schema["$defs"]["Branch"]["properties"]["leaves"]["items"]["$ref"] = "#/$defs/Blade"


def reorder_values(schema: JsonObject) -> None:
    schema["properties"]["kind"]["enum"].reverse()


@pytest.mark.parametrize(
    "mutate", [add_optional_field, add_optional_nested_field, reword, rename_a_definition, reorder_values]
)
def test_what_every_reader_survives_passes(mutate: Mutation) -> None:
    changed = tree_schema()
    mutate(changed)

    assert compatibility_problems(tree_schema(), changed) == []


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_schema_is_compatible_with_itself(topic: Topic[Event]) -> None:
    assert compatibility_problems(schema_of(topic), schema_of(topic)) == []


@given(data=st.data())
def test_removing_any_field_of_any_event_is_a_break(data: st.DataObject) -> None:
    topic = data.draw(st.sampled_from(TOPICS))
    schema = schema_of(topic)
    changed = copy.deepcopy(schema)
    holders = [changed, *changed.get("$defs", {}).values()]
    holder = data.draw(st.sampled_from([h for h in holders if h.get("properties")]))
    del holder["properties"][data.draw(st.sampled_from(sorted(holder["properties"])))]

    assert compatibility_problems(schema, changed)
