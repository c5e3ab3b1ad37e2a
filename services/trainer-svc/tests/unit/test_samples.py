"""What is read, and what of it an objective can learn from."""

import json
from pathlib import Path

import pytest

from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.samples import IMITATION, PAIRS, THUMBS, Use, read_splits

MESSAGES = [{"role": "user", "content": "disk full"}, {"role": "assistant", "content": "normal"}]


def a_file(folder: Path, *rows: dict[str, object], name: str = "train") -> Path:
    path = folder / f"{name}.jsonl"
    lines = [{"sample_id": f"s{number}", "messages": MESSAGES} | row for number, row in enumerate(rows)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def ids_for(use: Use, path: Path) -> list[str]:
    return [sample.sample_id for sample in read_splits(path, None, use=use).train]


class TestUse:
    def test_answers_that_were_disliked_are_never_imitated(self, tmp_path: Path) -> None:
        rated = a_file(tmp_path, {"thumb": True}, {"thumb": False}, {"thumb": None})
        assert ids_for(IMITATION, rated) == ["s0", "s2"]

    def test_a_pair_needs_a_rejected_answer_that_is_another_and_a_chosen_one_that_was_not_disliked(
        self, tmp_path: Path
    ) -> None:
        rows = ({"rejected": "alert"}, {}, {"rejected": "normal"}, {"rejected": "alert", "thumb": False})
        assert ids_for(PAIRS, a_file(tmp_path, *rows)) == ["s0"]

    def test_thumbs_of_both_kinds_teach(self, tmp_path: Path) -> None:
        assert ids_for(THUMBS, a_file(tmp_path, {"thumb": True}, {}, {"thumb": False})) == ["s0", "s2"]

    def test_what_is_of_no_use_is_counted(self, tmp_path: Path) -> None:
        train = a_file(tmp_path, {"thumb": True}, {}, {})
        watched = a_file(tmp_path, {}, {"thumb": False}, name="validation")
        splits = read_splits(train, watched, use=THUMBS)
        assert (len(splits.train), splits.left_out, len(splits.validation)) == (1, 2, 1)

    @pytest.mark.parametrize(
        ("use", "row", "code"),
        [
            (IMITATION, {"thumb": False}, "training.no-data"),
            (PAIRS, {}, "training.no-pairs"),
            (THUMBS, {}, "training.no-thumbs"),
        ],
    )
    def test_a_file_of_no_use_teaches_nothing_and_says_what_is_missing(
        self, tmp_path: Path, use: Use, row: dict[str, object], code: str
    ) -> None:
        with pytest.raises(TrainingFailed, match=r"train\.jsonl holds no") as caught:
            read_splits(a_file(tmp_path, row), None, use=use)
        assert caught.value.explanation.code == code
        assert caught.value.explanation.advice


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"messages": "hello"}, "messages"),
        ({"messages": MESSAGES[:1]}, "messages"),
        ({"messages": MESSAGES[::-1]}, "the last message is the user's"),
        ({"tools": "{not json"}, "tools"),
        ({"messages": [MESSAGES[0], {**MESSAGES[1], "tool_calls": '{"a": 1}'}]}, "messages.1.tool_calls"),
        ({"thumb": "maybe"}, "thumb"),
    ],
)
def test_a_line_that_is_no_sample_is_named_with_what_is_wrong(
    tmp_path: Path, row: dict[str, object], told: str
) -> None:
    with pytest.raises(TrainingFailed, match=rf"train\.jsonl line 2: .*{told}") as caught:
        read_splits(a_file(tmp_path, {}, row), None, use=IMITATION)
    assert caught.value.explanation.code == "training.unreadable-data"
