"""Toxic terms are found in Korean and English through their disguises, and a text is as toxic as its worst terms."""

from loopwright.toxicity.scoring import toxicity_of_texts


def test_texts_are_scored_each_by_itself_and_in_their_order() -> None:
    once, innocent, empty, disguised, threat = toxicity_of_texts(
        ["이 병신아", "시발역에서 종착역까지 갑니다.", "", "what the f.u.c.k", "I will kill you, you idiot"]
    )
    assert (innocent, empty) == (0, 0)
    assert 0.4 <= once < threat < 1
    assert disguised >= 0.4
    assert toxicity_of_texts(["이 병신아"]) == [once]
    assert toxicity_of_texts([]) == []
