"""Both kinds of thumbs weigh the same in all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.kto import balanced_weights
from trainer_svc.recipes.samples import Sample, Turn

TURNS = (Turn(role="user", content="fan down"), Turn(role="assistant", content="alert"))


def thumbs(*, liked: int, disliked: int) -> list[Sample]:
    given = [True] * liked + [False] * disliked
    return [Sample(sample_id=str(number), messages=TURNS, thumb=thumb) for number, thumb in enumerate(given)]


@given(liked=st.integers(1, 50), disliked=st.integers(1, 50))
def test_the_rarer_kind_weighs_more_and_the_commoner_one_weighs_one(liked: int, disliked: int) -> None:
    weights = balanced_weights(thumbs(liked=liked, disliked=disliked))
    assert weights["desirable_weight"] * liked == pytest.approx(weights["undesirable_weight"] * disliked)
    assert min(weights.values()) == 1


@pytest.mark.parametrize(("liked", "disliked", "told"), [(3, 0, "are up"), (0, 3, "are down")])
def test_one_kind_alone_is_refused(liked: int, disliked: int, told: str) -> None:
    with pytest.raises(TrainingFailed, match=told) as caught:
        balanced_weights(thumbs(liked=liked, disliked=disliked))
    assert caught.value.explanation.code == "training.one-sided-thumbs"
