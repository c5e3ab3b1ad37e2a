"""What of a sample reaches the model's chat template."""

import json

from trainer_svc.recipes.conversations import answered, as_dataset, preferred, rated
from trainer_svc.recipes.samples import Sample

TOOLS = [{"type": "function", "function": {"name": "restart", "parameters": {"type": "object"}}}]


def a_call(name: str, **arguments: object) -> dict[str, object]:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def a_sample(*turns: dict[str, object], **fields: object) -> Sample:
    asked = {"role": "user", "content": "fan down"}
    row = {"sample_id": "s", "messages": [asked, *(turns or [{"role": "assistant", "content": "alert"}])], **fields}
    return Sample.model_validate_json(json.dumps(row))


def calling(*calls: dict[str, object], content: str | None = None) -> dict[str, object]:
    text = json.dumps(calls)
    return {"role": "assistant", "content": text if content is None else content, "tool_calls": text}


def test_the_last_turn_is_what_is_learned() -> None:
    row = answered(a_sample())
    assert row["prompt"] == [{"role": "user", "content": "fan down"}]
    assert row["completion"] == [{"role": "assistant", "content": "alert"}]
    assert row["tools"] is None


def test_a_pair_has_the_correction_chosen_and_what_the_model_said_rejected() -> None:
    row = preferred(a_sample(rejected="normal"))
    assert row["chosen"] == [{"role": "assistant", "content": "alert"}]
    assert row["rejected"] == [{"role": "assistant", "content": "normal"}]


def test_a_thumb_is_the_label() -> None:
    assert rated(a_sample(thumb=False))["label"] is False


def test_calls_have_their_arguments_as_an_object_and_no_second_copy_as_content() -> None:
    (turn,) = answered(a_sample(calling(a_call("restart", unit="fan"))))["completion"]
    assert turn["tool_calls"][0]["function"] == {"name": "restart", "arguments": {"unit": "fan"}}
    assert turn["content"] == ""


def test_what_a_calling_turn_says_besides_is_kept() -> None:
    (turn,) = answered(a_sample(calling(a_call("restart"), content="I try to restart it")))["completion"]
    assert turn["content"] == "I try to restart it"


def test_tools_and_calls_of_differing_shape_survive_the_dataset_unmixed() -> None:
    samples = [
        a_sample(),
        a_sample(calling(a_call("restart", unit="fan")), tools=json.dumps(TOOLS)),
        a_sample(calling(a_call("look", at=["log", "load"], deep=True)), tools=json.dumps(TOOLS)),
    ]
    rows = list(as_dataset(samples, answered))
    assert [row["tools"] and json.loads(row["tools"]) for row in rows] == [None, TOOLS, TOOLS]
    arguments = [call["function"]["arguments"] for row in rows for call in row["completion"][0].get("tool_calls") or []]
    assert arguments == [{"unit": "fan"}, {"at": ["log", "load"], "deep": True}]
