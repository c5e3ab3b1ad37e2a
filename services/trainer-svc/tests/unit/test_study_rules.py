"""Studies: which spaces may be searched, what the search proposes, whom it stops, and when a study ends."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import TrainingData
from loopwright.contracts.registry import JOB_REQUESTED
from loopwright.contracts.tasks import Hyperparameters, Method
from loopwright.errors import Conflict, Invalid
from loopwright.testing.examples import an_event
from trainer_svc.adapters.optuna_search import first_prunable, importance, propose
from trainer_svc.domain.search_space import SearchSpace, Settings, checked_space, grid_points, settings_of
from trainer_svc.domain.studies import (
    JobOutcome,
    Study,
    StudyTerms,
    Trial,
    TrialState,
    best_of,
    end_of_study,
    end_of_trial,
    planned,
    resumed_terms,
    room_for_trials,
    trial_to_promote,
)

RATE = {"low": 1e-5, "high": 1e-1, "log": True}
BASE = Hyperparameters()
DATA = TrainingData.model_validate(
    an_event(JOB_REQUESTED).training_data.model_dump() | {"validation": an_event(JOB_REQUESTED).training_data.train}
)


def a_study(
    space: dict[str, JsonValue] | None = None, *, base: Hyperparameters = BASE, method: Method = "lora", **terms: object
) -> Study:
    return Study(
        study_id="study-1", name="rates", task_id="mood", base_model="tiny", training_data=DATA, method=method,
        objective="sft", hyperparameters=base, space=SearchSpace.model_validate(space or {"learning_rate": RATE}),
        terms=StudyTerms.model_validate(terms), state=RunState.RUNNING, created_by="somebody", counts_from=0,
        promoted_trial=None, traceparent=None,
    )  # fmt: skip


def a_trial(number: int, value: float | None = None, **changes: object) -> Trial:
    state = TrialState.SUCCEEDED if value is not None else TrialState.RUNNING
    rate = 1e-3 * (1 + number % 7)
    standard = Trial(number=number, settings={"learning_rate": rate}, state=state, job_id=f"j-{number}", value=value)
    return replace(standard, **changes)


def evaluated(number: int, *losses: float, value: float | None = None, **changes: object) -> Trial:
    return a_trial(number, value, evaluations=losses, **changes)


def refusal(space: dict[str, JsonValue], *, base: Hyperparameters = BASE, method: Method = "lora") -> Invalid:
    with pytest.raises(Invalid) as refused:
        checked_space(SearchSpace.model_validate(space), base, method=method)
    return refused.value


class TestSpaces:
    def test_values_become_those_of_the_contract(self) -> None:
        space: dict[str, JsonValue] = {
            "learning_rate": {"low": 1e-5, "high": 1}, "lora_rank": {"choices": [8, 16]},
            "warmup_steps": {"choices": [None, 10]}, "packing": {"choices": [False, True]},
        }  # fmt: skip
        checked = checked_space(SearchSpace.model_validate(space), BASE, method="lora").root
        assert repr(checked["learning_rate"].high) == "1.0"
        assert checked["lora_rank"].choices == (8, 16)
        assert checked["warmup_steps"].choices == (None, 10)
        assert checked["packing"].choices == (False, True)

    @pytest.mark.parametrize(
        ("space", "code", "words"),
        [
            ({"learning_speed": RATE}, "study.parameter-unknown", "there are batch_size"),
            ({"learning_rate": {"low": 0, "high": 1}}, "study.value-invalid", "greater than 0"),
            ({"lora_dropout": {"low": 0, "high": 1}}, "study.value-invalid", "less than 1"),
            ({"lora_rank": {"choices": [8, 8.5]}}, "study.value-invalid", "valid integer"),
            ({"lora_rank": {"choices": [8, True]}}, "study.value-invalid", "valid integer"),
            ({"lora_rank": {"choices": [8, 1024]}}, "study.value-invalid", "512"),
            ({"lora_rank": {"choices": [8, 16, 8]}}, "study.choices-repeated", "lora_rank"),
            ({"learning_rate": {"choices": [1, 1.0]}}, "study.choices-repeated", "learning_rate"),
            ({"learning_rate": {"low": 0.2, "high": 0.1}}, "study.range-invalid", "below high"),
            ({"weight_decay": {"low": 0, "high": 1, "log": True}}, "study.range-invalid", "above 0"),
            ({"lora_rank": {"low": 4, "high": 9, "step": 2}}, "study.range-invalid", "whole number of steps"),
            ({"lora_rank": {"low": 4, "high": 8, "step": 0.5}}, "study.range-invalid", "whole steps"),
            ({"lora_rank": {"low": 4, "high": 8, "step": 0}}, "study.range-invalid", "above 0"),
            ({"lora_rank": {"low": 4, "high": 8, "step": 2, "log": True}}, "study.range-invalid", "one of the two"),
            ({"weight_decay": {"low": 0, "high": 1, "step": 1e-300}}, "study.range-invalid", "steps"),
            ({"packing": {"low": 0, "high": 1}}, "study.value-invalid", "valid boolean"),
            ({"beta": {"low": 0.1, "high": 0.5}}, "study.parameter-not-searched", "the loss itself"),
            ({"seed": {"low": 1, "high": 9}}, "study.parameter-not-searched", "luck"),
            ({"max_seq_length": {"choices": [256, 512]}}, "study.parameter-not-searched", "measured on"),
        ],
    )
    def test_what_cannot_be_searched_is_refused_by_name_and_reason(
        self, space: dict[str, JsonValue], code: str, words: str
    ) -> None:
        refused = refusal(space)
        assert refused.code == code
        assert words in refused.detail
        assert next(iter(space)) in refused.detail

    def test_settings_of_adapters_are_not_searched_where_none_is_trained(self) -> None:
        assert refusal({"lora_rank": {"choices": [8, 16]}}, method="full").code == "study.parameter-not-searched"

    def test_a_step_fits_as_it_is_written(self) -> None:
        space = SearchSpace.model_validate({"lora_dropout": {"low": 0, "high": 0.3, "step": 0.1}})
        checked = checked_space(space, BASE, method="lora")
        assert grid_points(checked) == {"lora_dropout": (0.0, 0.1, 0.2, 0.3)}

    @pytest.mark.parametrize(
        "written",
        [
            {},
            {"learning_rate": {"low": float("nan"), "high": 1}},
            {"learning_rate": {"low": 1e-5, "high": float("inf")}},
            {"learning_rate": {"low": 1e-5, "high": 10**400}},
            {"learning_rate": {"low": 1e-5, "high": 1e-1, "choices": [1, 2]}},
            {"learning_rate": {"low": 1e-5}},
            {"learning_rate": {"choices": [0.1]}},
            {"learning_rate": {"choices": [[0.1], 0.2]}},
            {"learning_rate": 0.1},
            {"learning rate\0": RATE},
            {f"p{number}": RATE for number in range(17)},
        ],
    )
    def test_what_is_no_space_is_not_read(self, written: dict[str, JsonValue]) -> None:
        with pytest.raises(ValidationError):
            SearchSpace.model_validate(written)

    def test_pruning_needs_evaluations_that_can_be_compared(self) -> None:
        sizes: dict[str, JsonValue] = {"batch_size": {"choices": [4, 8]}}
        by_steps = Hyperparameters(eval_every_steps=50)
        with pytest.raises(Invalid, match="evaluations-not-comparable"):
            planned(a_study(sizes, base=by_steps))
        assert planned(a_study(sizes)).space == planned(a_study(sizes, base=by_steps, pruner="none")).space

    def test_a_study_needs_data_to_compare_on(self) -> None:
        empty = DATA.validation.model_copy(update={"samples": 0})
        with pytest.raises(Invalid, match="no-validation-data"):
            planned(replace(a_study(), training_data=DATA.model_copy(update={"validation": empty})))

    def test_a_grid_has_no_more_trials_than_points(self) -> None:
        space: dict[str, JsonValue] = {
            "lora_rank": {"choices": [8, 16, 32]}, "lora_dropout": {"low": 0.0, "high": 0.2, "step": 0.1},
        }  # fmt: skip
        assert planned(a_study(space, sampler="grid", max_trials=50)).terms.max_trials == 9
        assert planned(a_study(space, sampler="grid", max_trials=4)).terms.max_trials == 4
        with pytest.raises(Invalid, match="grid-needs-steps"):
            planned(a_study(sampler="grid"))
        with pytest.raises(Invalid, match="grid-too-large"):
            planned(a_study({"lora_alpha": {"low": 1, "high": 10**9}}, sampler="grid"))


REALS = st.floats(-2e9, 2e9) | st.sampled_from([5e-324, 1e-300, 1e-5, 0.1, 1.0, -0.0])
NUMBERS: st.SearchStrategy[JsonValue] = REALS | st.integers(-(2**40), 2**40) | st.integers(0, 64)
ODD: st.SearchStrategy[JsonValue] = NUMBERS | st.booleans() | st.none() | st.text(max_size=3)
RANGES = st.fixed_dictionaries({"low": NUMBERS, "high": NUMBERS}, optional={"log": st.booleans(), "step": NUMBERS})
CHOICES = st.fixed_dictionaries({"choices": st.lists(ODD, max_size=4)})
ODD_SPACES = st.dictionaries(st.sampled_from(sorted(Hyperparameters.model_fields)), RANGES | CHOICES, max_size=3)
VALUES: dict[str, st.SearchStrategy[float] | st.SearchStrategy[int]] = {
    "learning_rate": st.floats(1e-7, 1), "lora_rank": st.integers(1, 512), "lora_dropout": st.floats(1e-3, 0.9),
    "batch_size": st.integers(1, 10**6), "weight_decay": st.floats(5e-324, 1e9), "warmup_steps": st.integers(1, 99),
    "num_epochs": st.integers(1, 50),
}  # fmt: skip


@st.composite
def good_spaces(draw: st.DrawFn) -> dict[str, JsonValue]:
    """Spaces that fit the contract."""
    space: dict[str, JsonValue] = {}
    for name in draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True)):
        values = sorted(draw(st.lists(VALUES[name], min_size=2, max_size=5, unique_by=float)))
        steps = draw(st.integers(1, 50))
        shapes: list[JsonValue] = [
            {"choices": [*values]}, {"low": values[0], "high": values[-1], "log": draw(st.booleans())},
            {"low": 1, "high": 1 + steps, "step": 1},
        ]  # fmt: skip
        space[name] = draw(st.sampled_from(shapes[: 2 if name in {"learning_rate", "lora_dropout"} else 3]))
    return space


def check_trials(study: Study) -> None:
    """Three trials have all settings that are searched, and the contract takes them as they are."""
    stored = SearchSpace.model_validate_json(study.space.model_dump_json())
    assert stored == study.space
    trials: list[Trial] = []
    for number in range(min(3, study.terms.max_trials)):
        settings = propose(study, trials)
        trials.append(a_trial(number, 1.0, settings=settings))
        assert settings.keys() == study.space.root.keys()
        chosen = settings_of(BASE, settings)
        assert {name: getattr(chosen, name) for name in settings} == settings


class TestAnySpace:
    @given(written=good_spaces(), sampler=st.sampled_from(["tpe", "random"]))
    def test_within_the_contract_gives_trials_within_the_contract(
        self, written: dict[str, JsonValue], sampler: str
    ) -> None:
        check_trials(planned(replace(a_study(sampler=sampler, startup_trials=1), space=a_study(written).space)))

    @given(written=ODD_SPACES | good_spaces(), sampler=st.sampled_from(["tpe", "grid"]))
    def test_else_is_refused_with_a_reason(self, written: dict[str, JsonValue], sampler: str) -> None:
        try:
            study = planned(replace(a_study(sampler=sampler), space=SearchSpace.model_validate(written)))
        except (ValidationError, Invalid):
            return
        check_trials(study)


def searched(study: Study, loss: Callable[[Settings], float]) -> list[Trial]:
    """The trials of a study whose jobs end at once."""
    trials: list[Trial] = []
    while room_for_trials(study, trials):
        settings = propose(study, trials)
        trials.append(a_trial(len(trials), loss(settings), settings=settings))
    return trials


def bowl(settings: Settings) -> float:
    """A loss with its least, 0, at 0.003 and rank 32."""
    from math import log10  # noqa: PLC0415

    rate, rank = float(settings["learning_rate"] or 0), int(settings["lora_rank"] or 0)
    return (log10(rate) - log10(0.003)) ** 2 + (0 if rank == 32 else 0.5)


BOWL: dict[str, JsonValue] = {"learning_rate": RATE, "lora_rank": {"choices": [4, 8, 16, 32]}}


class TestSearch:
    def test_finds_the_optimum_better_than_chance(self) -> None:
        def best(sampler: str, seed: int) -> float:
            found = best_of(searched(a_study(BOWL, sampler=sampler, seed=seed, max_trials=25), bowl))
            assert found is not None
            assert found.value is not None
            return found.value

        by_model = [best("tpe", seed) for seed in range(5)]
        by_chance = [best("random", seed) for seed in range(5)]
        assert median(by_model) < median(by_chance) / 2
        assert median(by_model) < 0.05

    def test_asked_again_about_the_same_trials_answers_the_same(self) -> None:
        study = a_study(BOWL, max_trials=12)
        trials = searched(study, bowl)
        assert [propose(study, trials[:number]) for number in range(12)] == [trial.settings for trial in trials]

    def test_another_seed_searches_elsewhere(self) -> None:
        assert propose(a_study(seed=1), []) != propose(a_study(seed=2), [])

    def test_two_at_once_are_not_alike(self) -> None:
        study = a_study(BOWL, max_trials=30)
        trials = searched(study, bowl)[:15]
        first = propose(study, trials)
        assert propose(study, [*trials, a_trial(15, settings=first)]) != first

    def test_a_grid_is_walked_point_by_point_whatever_becomes_of_trials(self) -> None:
        space: dict[str, JsonValue] = {"lora_rank": {"choices": [8, 16]}, "lora_alpha": {"low": 1, "high": 3}}
        study = planned(a_study(space, sampler="grid"))
        states = [TrialState.FAILED, TrialState.SUCCEEDED, TrialState.PRUNED, TrialState.STOPPED, TrialState.RUNNING]
        trials: list[Trial] = []
        for number in range(6):
            state = states[number % 5]
            value = 1.0 if state in {TrialState.SUCCEEDED, TrialState.PRUNED} else None
            trials.append(a_trial(number, value, settings=propose(study, trials), state=state))
        points = {(trial.settings["lora_rank"], trial.settings["lora_alpha"]) for trial in trials}
        assert points == {(rank, alpha) for rank in (8, 16) for alpha in (1, 2, 3)}

    def test_says_which_setting_mattered(self) -> None:
        space: dict[str, JsonValue] = {"learning_rate": RATE, "weight_decay": {"low": 0.0, "high": 0.1}}
        study = a_study(space, sampler="random", max_trials=40)
        shares = importance(study, searched(study, lambda settings: bowl({**settings, "lora_rank": 32})))
        assert list(shares) == ["learning_rate", "weight_decay"]
        assert shares["learning_rate"] > 0.8
        assert sum(shares.values()) == pytest.approx(1)

    @pytest.mark.parametrize("values", [(), (1.0,), (1.0, 2.0, 3.0), (1.0, 1.0, 1.0, 1.0, 1.0)])
    def test_says_nothing_of_importance_where_nothing_can_be_said(self, values: Sequence[float]) -> None:
        assert importance(a_study(), [a_trial(number, value) for number, value in enumerate(values)]) == {}


GOOD = [evaluated(number, 2.0, 1.5, 1.0, value=1.0) for number in range(5)]


class TestPruning:
    def test_stops_a_trial_that_is_worse_than_the_median_at_the_same_evaluation(self) -> None:
        assert first_prunable(a_study(), [*GOOD, evaluated(5, 3.0)]) == {5: 1}
        assert first_prunable(a_study(), [*GOOD, evaluated(5, 2.0, 1.9)]) == {5: 2}
        assert first_prunable(a_study(), [*GOOD, evaluated(5, 1.9, 1.4)]) == {}

    def test_leaves_trials_alone_until_enough_have_ended(self) -> None:
        assert first_prunable(a_study(), [*GOOD[:4], evaluated(4, 3.0)]) == {}
        assert first_prunable(a_study(startup_trials=4), [*GOOD[:4], evaluated(4, 3.0)]) == {4: 1}

    def test_judges_an_evaluation_once(self) -> None:
        """What was let pass by an earlier look is not held against a trial after a restart."""
        assert first_prunable(a_study(), [*GOOD, evaluated(5, 3.0, judged=1)]) == {}

    def test_stops_nobody_twice_nor_at_its_end(self) -> None:
        assert first_prunable(a_study(), [*GOOD, evaluated(5, 3.0, pruned_after=1)]) == {}
        assert first_prunable(a_study(), [*GOOD, evaluated(5, 1.9, 1.4, 3.0, is_ending=True)]) == {}
        assert first_prunable(a_study(), [*GOOD, evaluated(5, 3.0, 3.0, is_ending=True)]) == {5: 1}

    def test_stops_nobody_where_nothing_is_pruned(self) -> None:
        assert first_prunable(a_study(pruner="none"), [*GOOD, evaluated(5, 3.0)]) == {}

    def test_by_hyperband_lets_few_of_many_go_on(self) -> None:
        base = Hyperparameters(num_epochs=9)
        study = a_study(base=base, pruner="hyperband")
        random.seed(3)
        trials = [evaluated(number, random.random()) for number in range(30)]
        stopped = first_prunable(study, trials)
        assert 5 < len(stopped) < 25
        assert set(stopped.values()) == {1}
        left = [trial.evaluations[0] for trial in trials if trial.number not in stopped]
        assert median(left) < median(trials[number].evaluations[0] for number in stopped)

    def test_by_hyperband_remembers_the_values_of_those_that_have_ended(self) -> None:
        study = a_study(base=Hyperparameters(num_epochs=3), pruner="hyperband")
        ended = [evaluated(n, 0.1, 0.1, 0.1, value=0.1) for n in range(9)]
        newcomers = [evaluated(number, 5.0) for number in range(9, 15)]
        assert first_prunable(study, [*ended, *newcomers])
        alone = [replace(trial, number=place) for place, trial in enumerate(newcomers)]
        assert first_prunable(study, alone) == {}


def outcome(state: RunState | None, loss: float | None = None, reason: str | None = None) -> JobOutcome:
    return JobOutcome(state=state, validation_loss=loss, reason=reason)


class TestEndsOfTrials:
    @pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING])
    def test_a_trial_goes_on_with_its_job(self, state: RunState) -> None:
        assert end_of_trial(outcome(state, 0.5), (), pruned_after=None) is None
        assert end_of_trial(outcome(state, 0.5), (1.0,), pruned_after=1) is None

    @pytest.mark.parametrize(
        ("job", "pruned_after", "state", "value"),
        [
            (outcome(RunState.SUCCEEDED, 0.5), None, TrialState.SUCCEEDED, 0.5),
            (outcome(RunState.SUCCEEDED, 0.5), 1, TrialState.SUCCEEDED, 0.5),
            (outcome(RunState.SUCCEEDED), None, TrialState.FAILED, None),
            (outcome(RunState.SUCCEEDED, float("nan")), None, TrialState.FAILED, None),
            (outcome(RunState.STOPPED, reason="asked"), None, TrialState.STOPPED, None),
            (outcome(RunState.STOPPED, reason="asked"), 2, TrialState.PRUNED, 0.7),
            (outcome(RunState.FAILED, reason="no memory"), None, TrialState.FAILED, None),
            (outcome(RunState.FAILED, reason="no memory"), 2, TrialState.PRUNED, 0.7),
            (outcome(None), None, TrialState.FAILED, None),
        ],
    )
    def test_a_trial_ends_as_its_job_did(
        self, job: JobOutcome, pruned_after: int | None, state: TrialState, value: float | None
    ) -> None:
        end = end_of_trial(job, (0.9, 0.7, 0.1), pruned_after=pruned_after)
        assert end is not None
        assert (end.state, end.value) == (state, value)
        assert end.reason or state is TrialState.SUCCEEDED


class TestEndsOfStudies:
    def test_no_more_trials_run_at_once_or_in_all_than_was_asked(self) -> None:
        study = a_study(max_trials=4, parallel_trials=2)
        assert room_for_trials(study, []) == 2
        assert room_for_trials(study, [a_trial(0), a_trial(1)]) == 0
        assert room_for_trials(study, [a_trial(0, 1.0), a_trial(1), a_trial(2, 1.0)]) == 1
        assert room_for_trials(study, [a_trial(number, 1.0) for number in range(4)]) == 0
        assert room_for_trials(replace(study, state=RunState.STOPPED), []) == 0

    def test_it_ends_with_its_last_trial(self) -> None:
        study = a_study(max_trials=2)
        assert end_of_study(study, [a_trial(0, 1.0)]) is None
        assert end_of_study(study, [a_trial(0, 1.0), a_trial(1)]) is None
        end = end_of_study(study, [a_trial(0, 1.0), a_trial(1, 0.5)])
        assert end is not None
        assert (end.state, end.reason) == (RunState.SUCCEEDED, "2 trials, the best of them number 1")

    def test_a_failed_trial_does_not_end_it_but_too_many_do(self) -> None:
        study = a_study(max_trials=9, max_failed_trials=1)
        failed = [a_trial(number, state=TrialState.FAILED) for number in range(2)]
        assert end_of_study(study, failed[:1]) is None
        assert room_for_trials(study, failed[:1]) == 1
        assert room_for_trials(study, failed) == 0
        end = end_of_study(study, failed)
        assert end is not None
        assert end.state is RunState.FAILED
        assert "number 1" in end.reason

    def test_failures_before_it_was_resumed_are_forgiven(self) -> None:
        failed = [a_trial(number, state=TrialState.FAILED) for number in range(2)]
        assert room_for_trials(replace(a_study(max_trials=9, max_failed_trials=1), counts_from=2), failed) == 1

    def test_nothing_but_pruned_trials_is_a_failure(self) -> None:
        end = end_of_study(a_study(max_trials=1), [a_trial(0, 1.0, state=TrialState.PRUNED)])
        assert end is not None
        assert end.state is RunState.FAILED

    def test_the_best_is_the_first_of_the_lowest_that_came_to_their_end(self) -> None:
        pruned = a_trial(0, 0.1, state=TrialState.PRUNED)
        best = best_of([pruned, a_trial(1, 0.7), a_trial(2, 0.5), a_trial(3, 0.5)])
        assert best is not None
        assert best.number == 2

    def test_it_is_resumed_only_if_it_has_ended_and_has_trials_left(self) -> None:
        ended = replace(a_study(max_trials=2), state=RunState.STOPPED)
        done = [a_trial(0, 1.0), a_trial(1, 1.0)]
        assert resumed_terms(ended, done[:1], max_trials=None).max_trials == 2
        assert resumed_terms(ended, done, max_trials=5).max_trials == 5
        with pytest.raises(Conflict, match="no-trials-left"):
            resumed_terms(ended, done, max_trials=None)
        with pytest.raises(Conflict, match=r"study\.running"):
            resumed_terms(a_study(), [], max_trials=9)
        grid = replace(planned(a_study({"lora_rank": {"choices": [8, 16]}}, sampler="grid")), state=RunState.SUCCEEDED)
        with pytest.raises(Conflict, match="no-trials-left"):
            resumed_terms(grid, done, max_trials=9)

    def test_only_a_finished_trial_is_promoted_and_each_once(self) -> None:
        with pytest.raises(Conflict, match="nothing-finished"):
            trial_to_promote(a_study(), [a_trial(0), a_trial(1, 0.1, state=TrialState.PRUNED)])
        done = [a_trial(0, 1.0), a_trial(1, 0.5)]
        assert trial_to_promote(replace(a_study(), promoted_trial=0), done).number == 1
        with pytest.raises(Conflict, match=r"study\.promoted"):
            trial_to_promote(replace(a_study(), promoted_trial=1), done)
