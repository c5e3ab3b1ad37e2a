"""The way of an adapter into charge: which steps exist, and what happens to jobs that bring none."""

from datetime import timedelta

import pytest

from loopwright.contracts.base import Artifact, RunState
from loopwright.errors import Conflict, Invalid
from registry_svc.domain.models import ModelStatus, VariantId, check_status_change
from registry_svc.domain.releases import WORKED_ON, ReleaseState, check_transition, retry_delay, why_not_released

ADAPTER = Artifact(uri="file:///x", sha256="0" * 64, size_bytes=1)
S = ReleaseState
ALLOWED = {
    (S.RECEIVED, S.REGISTERED),
    (S.RECEIVED, S.FAILED),
    (S.REGISTERED, S.LOADED),
    (S.REGISTERED, S.FAILED),
    (S.REGISTERED, S.PROMOTED),
    (S.LOADED, S.ON_TRIAL),
    (S.LOADED, S.REJECTED),
    (S.LOADED, S.PROMOTED),
    (S.LOADED, S.FAILED),
    (S.ON_TRIAL, S.PROMOTED),
    (S.ON_TRIAL, S.RETIRED),
    (S.REJECTED, S.PROMOTED),
    (S.RETIRED, S.PROMOTED),
}


@pytest.mark.parametrize("current", S)
@pytest.mark.parametrize("following", S)
def test_a_release_takes_only_the_steps_that_exist(current: S, following: S):
    if (current, following) in ALLOWED:
        check_transition(current, following)
    else:
        with pytest.raises(Conflict):
            check_transition(current, following)


def test_work_stops_where_an_event_must_come_or_nothing_more_will():
    assert set(WORKED_ON) == {S.RECEIVED, S.REGISTERED, S.LOADED}


class TestWhyNotReleased:
    def refusal(self, **changes: object) -> str | None:
        wanted = {"adapter": ADAPTER, "base_model": "b", "task_base_model": "b"} | changes
        return why_not_released(wanted.pop("state", RunState.SUCCEEDED), **wanted)  # type: ignore[arg-type]

    def test_releases_a_job_that_succeeded_with_an_adapter(self):
        assert self.refusal() is None

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"state": RunState.FAILED}, "ended as failed"),
            ({"state": RunState.STOPPED}, "ended as stopped"),
            ({"adapter": None}, "without an adapter"),
            ({"task_base_model": None}, "not defined"),
            ({"task_base_model": "c"}, "started from b"),
        ],
    )
    def test_says_why_others_are_not(self, changes: dict[str, object], words: str):
        refusal = self.refusal(**changes)
        assert refusal is not None
        assert words in refusal


def test_waiting_doubles_up_to_fifteen_seconds():
    delays = [retry_delay(attempts) for attempts in range(7)]

    assert delays[:3] == [timedelta(seconds=0.5), timedelta(seconds=1), timedelta(seconds=2)]
    assert delays[-1] == retry_delay(10_000) == timedelta(seconds=15)


class TestModelStatus:
    def test_a_version_never_returns_to_staging(self):
        for status in (ModelStatus.PRODUCTION, ModelStatus.ARCHIVED):
            with pytest.raises(Conflict):
                check_status_change(VariantId("m", 1), status, ModelStatus.STAGING)

    def test_an_archived_version_can_come_back(self):
        check_status_change(VariantId("m", 1), ModelStatus.ARCHIVED, ModelStatus.PRODUCTION)

    @pytest.mark.parametrize("text", ["m", "m:", ":1", "m:0", "m:x", "m:-1"])
    def test_a_variant_is_model_and_version(self, text: str):
        with pytest.raises(Invalid):
            VariantId.parse(text)

    def test_a_variant_reads_as_it_is_written(self):
        assert str(VariantId.parse("a:b:12")) == "a:b:12"
