"""What the deprecation of a dataset version means for jobs on it."""

import pytest

from loopwright.contracts.base import RunState
from loopwright.contracts.registry import DATASET_DEPRECATED
from loopwright.testing.examples import an_event
from trainer_svc.domain.deprecations import DataDeprecation, deprecation_of, ending_on, outweighs
from trainer_svc.domain.jobs import Ending


def a_deprecation(reason: str = "erasure", detail: str = "because") -> DataDeprecation:
    return deprecation_of(an_event(DATASET_DEPRECATED, reason=reason, detail=detail))


class TestOutweighs:
    def test_the_first_word_is_taken(self) -> None:
        assert outweighs(a_deprecation("operator"), None)

    def test_an_erasure_replaces_an_operators_decision(self) -> None:
        assert outweighs(a_deprecation("erasure"), a_deprecation("operator"))

    @pytest.mark.parametrize(
        ("new", "known"), [("operator", "erasure"), ("erasure", "erasure"), ("operator", "operator")]
    )
    def test_else_the_first_word_stands(self, new: str, known: str) -> None:
        assert not outweighs(a_deprecation(new), a_deprecation(known))


class TestEndingOn:
    @pytest.mark.parametrize("state", [RunState.STOPPED, RunState.QUEUED])
    def test_what_did_not_end_by_itself_ends_as_stopped_and_says_why(self, state: RunState) -> None:
        ending = ending_on(Ending(state=state, reason="x"), version_id="dsv-1", deprecation=a_deprecation())
        assert ending.state is RunState.STOPPED
        assert ending.reason == "dataset version dsv-1 must not be trained on (erasure): because"

    @pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED])
    def test_what_had_ended_by_itself_stays_so(self, state: RunState) -> None:
        ending = Ending(state=state, reason="x")
        assert ending_on(ending, version_id="dsv-1", deprecation=a_deprecation()) == ending

    def test_on_other_versions_nothing_changes(self) -> None:
        ending = Ending(state=RunState.QUEUED, reason="x")
        assert ending_on(ending, version_id="dsv-1", deprecation=None) == ending
