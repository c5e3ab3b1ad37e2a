"""Samples in one sequence must not see each other, whatever the model."""

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.packs import refuse_leaks

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_attention_that_begins_anew_with_positions_is_let_pass(tiny_model: Path, attention: str) -> None:
    refuse_leaks(AutoModelForCausalLM.from_pretrained(tiny_model, attn_implementation=attention))


def test_attention_that_sees_the_sample_before_is_refused(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    whole = model.forward
    monkeypatch.setattr(model, "forward", lambda *, input_ids, **_: whole(input_ids=input_ids))
    with pytest.raises(TrainingFailed, match="does not keep packed samples apart") as caught:
        refuse_leaks(model)
    assert caught.value.explanation.code == "training.packing-leaks"
