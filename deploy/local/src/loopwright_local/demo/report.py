"""The short report at the end of the demo."""

from rich.console import Console, Group
from rich.table import Table

from loopwright_local.demo.loop import LoopResult
from loopwright_local.demo.watch import Watcher

_HOPS = ("inference.rated", "dataset.requested", "job.requested", "model.evaluated", "experiment.concluded")


def tracing_rating_to_promotion(watcher: Watcher) -> str | None:
    """Id of the trace that holds a rating, everything that followed from it, and the promotion."""
    for trace_id, topics in watcher.traces.items():
        if all(hop in topics for hop in _HOPS) and topics[-1] == "deployment.changed":
            return trace_id
    return None


def print_report(console: Console, result: LoopResult, watcher: Watcher, *, data_from: str) -> None:
    evaluated = result.evaluated
    accuracy = Table(
        "variant", "held-out cases", "accuracy", "live accuracy", title="Before and after", title_justify="left"
    )
    for role, score in (("before", evaluated.champion_score), ("after", evaluated.candidate_score)):
        live = result.tally.accuracy(score.variant_id)
        accuracy.add_row(
            f"{score.variant_id} ({role})", str(score.cases), f"{score.accuracy_0_1:.1%}",
            f"{live:.1%} of {result.tally.asked[score.variant_id]}" if live is not None else "-",
        )  # fmt: skip
    events = Table("topic", "events", title="Events seen", title_justify="left")
    for topic, count in sorted(watcher.counts.items()):
        events.add_row(topic, str(count))
    stages = Table("stage", "seconds", title="Time", title_justify="left")
    for stage, seconds in result.seconds.items():
        stages.add_row(stage, f"{seconds:.1f}")
    stages.add_row("[bold]whole loop[/]", f"{sum(result.seconds.values()):.1f}")
    console.print(Group("", accuracy, events, stages))
    console.print(f"Data: {data_from}. Ratings sent: {result.ratings_sent}. Dead letters: {watcher.dead_letters}.")
