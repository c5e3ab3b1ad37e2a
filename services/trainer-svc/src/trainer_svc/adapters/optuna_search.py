"""Optuna's samplers, pruners and importances, asked about a study that is rebuilt from our rows each time.

Nothing is kept in between. Optuna's own storage would commit a trial before, or after, the transaction that queues its
job; here a kill at any instruction leaves rows that agree, and the next question gets the answer of the uninterrupted
study: seeds are drawn from the study's seed and the trial's number.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna import importance as importances
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler

from trainer_svc.domain.search_space import SearchChoices, Searched, Setting, Settings, grid_points
from trainer_svc.domain.studies import Pruner, Sampler, Study, Trial, TrialState

_HALVING = 3  # of three trials one goes on: eta of Hyperband (Li 2018), Optuna's default
_LEAST_FOR_IMPORTANCE = 4
_ENDS = {
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.FAILED: optuna.trial.TrialState.FAIL,
    TrialState.STOPPED: optuna.trial.TrialState.FAIL,
}
optuna.logging.set_verbosity(optuna.logging.WARNING)  # it reports each rebuilt study on standard error


@dataclass(frozen=True, kw_only=True)
class _Rebuilt:
    """A study as Optuna sees it; handles of its trials are in order of their numbers."""

    study: optuna.Study
    space: dict[str, BaseDistribution]
    handles: tuple[optuna.Trial, ...]


def propose(study: Study, trials: Sequence[Trial]) -> Settings:
    """Settings of the next trial; running ones are taken into account, so that two at once are not alike."""
    rebuilt = _rebuild(study, trials)
    rebuilt.study.sampler = _sampler(study, number=len(trials))
    chosen: dict[str, Setting] = rebuilt.study.ask(fixed_distributions=rebuilt.space).params
    return {name: _plain(chosen[name]) for name in study.space.root}


def first_prunable(study: Study, trials: Sequence[Trial]) -> dict[int, int]:
    """Running trials by number that should stop, and the evaluation (from 1) that tells.

    Each evaluation is judged once, as if the pruner had been asked when it came; the last one of a trial never is, for
    then there is nothing left to save.
    """
    rebuilt = _rebuild(study, trials)
    found: dict[int, int] = {}
    for trial, handle in zip(trials, rebuilt.handles, strict=True):
        if trial.state is TrialState.RUNNING and trial.pruned_after is None:
            last = len(trial.evaluations) - trial.is_ending
            told = _report(handle, trial, range(trial.judged + 1, last + 1), asking=True)
            if told:
                found[trial.number] = told[0]
    return found


def importance(study: Study, trials: Sequence[Trial]) -> dict[str, float]:
    """Share of each hyperparameter in what made trials differ (PED-ANOVA, Watanabe 2023), greatest first.

    Empty while too few trials have come to their end, or all came to the same.
    """
    values = [trial.value for trial in trials if trial.state is TrialState.SUCCEEDED]
    if len(values) < _LEAST_FOR_IMPORTANCE or len(set(values)) == 1:
        return {}
    return importances.get_param_importances(_rebuild(study, trials).study)


def _rebuild(study: Study, trials: Sequence[Trial]) -> _Rebuilt:
    space = {name: _distribution(one) for name, one in study.space.root.items()}
    rebuilt = optuna.create_study(
        study_name=study.study_id,  # Hyperband draws brackets from it
        sampler=RandomSampler(seed=study.terms.seed),
        pruner=_pruner(study, trials),
        direction=study.terms.direction,
    )
    handles: list[optuna.Trial] = []
    for trial in trials:
        rebuilt.enqueue_trial(dict(trial.settings))
        handles.append(rebuilt.ask(fixed_distributions=space))
    # Hyperband keeps the values by which it compares trials only when it is asked
    asking = isinstance(rebuilt.pruner, HyperbandPruner)
    for trial, handle in zip(trials, handles, strict=True):
        _report(handle, trial, range(1, _known(trial) + 1), asking=asking)
        if trial.state is TrialState.SUCCEEDED:
            rebuilt.tell(handle, trial.value)
        elif trial.state is not TrialState.RUNNING:
            rebuilt.tell(handle, state=_ENDS[trial.state])
    return _Rebuilt(study=rebuilt, space=space, handles=tuple(handles))


def _known(trial: Trial) -> int:
    """Evaluations of a trial on which nothing is left to be said."""
    if trial.state is not TrialState.RUNNING:
        return len(trial.evaluations)
    return trial.judged if trial.pruned_after is None else trial.pruned_after


def _report(handle: optuna.Trial, trial: Trial, numbers: range, *, asking: bool) -> list[int]:
    """Repeats evaluations (counted from 1); returns those after which the pruner, if it is asked, would stop."""
    told: list[int] = []
    for number in numbers:
        handle.report(trial.evaluations[number - 1], number)
        if asking and handle.should_prune():
            told.append(number)
    return told


def _distribution(searched: Searched) -> BaseDistribution:
    if isinstance(searched, SearchChoices):
        return CategoricalDistribution(searched.choices)
    if isinstance(searched.low, int):
        step = 1 if searched.step is None else int(searched.step)
        return IntDistribution(searched.low, int(searched.high), log=searched.log, step=step)
    return FloatDistribution(searched.low, searched.high, log=searched.log, step=searched.step)


def _plain(value: Setting) -> Setting:
    """The value without NumPy's types, as JSON keeps it."""
    return float(value) if isinstance(value, float) else value


def _sampler(study: Study, *, number: int) -> BaseSampler:
    terms = study.terms
    seed = zlib.crc32(f"{terms.seed}:{number}".encode())
    match terms.sampler:
        case Sampler.TPE:
            return TPESampler(n_startup_trials=terms.startup_trials, seed=seed)
        case Sampler.RANDOM:
            return RandomSampler(seed=seed)
        case Sampler.GRID:
            return GridSampler(grid_points(study.space), seed=terms.seed)  # its order must be that of all trials


def _pruner(study: Study, trials: Sequence[Trial]) -> BasePruner:
    match study.terms.pruner:
        case Pruner.NONE:
            return NopPruner()
        case Pruner.MEDIAN:
            return MedianPruner(n_startup_trials=study.terms.startup_trials)
        case Pruner.HYPERBAND:
            most = _most_evaluations(study, trials)
            return HyperbandPruner(min_resource=1, max_resource=most, reduction_factor=_HALVING)


def _most_evaluations(study: Study, trials: Sequence[Trial]) -> int:
    """Evaluations of a trial that nobody stops: one an epoch, or what trials have shown."""
    if study.hyperparameters.eval_every_steps is not None:
        ended = (len(trial.evaluations) for trial in trials if trial.state is TrialState.SUCCEEDED)
        return max(ended, default=1)
    searched = study.space.root.get("num_epochs")
    epochs: list[float] = [study.hyperparameters.num_epochs]
    if searched is not None:
        values = searched.choices if isinstance(searched, SearchChoices) else (searched.high,)
        epochs = [value for value in values if isinstance(value, float)]
    return math.ceil(max(epochs))
