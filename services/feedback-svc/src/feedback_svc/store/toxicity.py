"""How toxic answers of experiments are: scored in batches, each answer once."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.experiments import Experiment
from feedback_svc.store.inferences import open_contents
from feedback_svc.store.tables import answer_toxicity
from loopwright.contracts.experiments import ExperimentKind

_MOST_CHARS = 20_000  # of one answer: what is said beyond is rarely read


async def list_unscored(session: AsyncSession, experiment: Experiment, *, at_most: int) -> dict[str, str]:
    """Answers that count into an experiment and that nobody has scored, by inference."""
    asked = {
        "experiment_id": experiment.experiment_id,
        "shadow": experiment.kind is ExperimentKind.SHADOW,
        "at_most": at_most,
    }
    rows = (await session.execute(_UNSCORED, asked)).all()
    contents = await open_contents(session, [row.content for row in rows])
    return {row.inference_id: (content.answer or "")[:_MOST_CHARS] for row, content in zip(rows, contents, strict=True)}


async def add_scores(session: AsyncSession, scores: Mapping[str, float]) -> None:
    """Keeps scores from 0 to 1 by inference; of one that somebody else has scored meanwhile, theirs."""
    rows = [{"inference_id": name, "toxicity_0_1": score} for name, score in scores.items()]
    await session.execute(insert(answer_toxicity).values(rows).on_conflict_do_nothing())


# of a shadow also what its champion said to the same; whoever answered has a mark of whether it refused
_UNSCORED = sa.text("""
WITH own AS (
    SELECT inference_id, shadow_of FROM feedback.inferences
    WHERE experiment_id = :experiment_id AND NOT pinned AND (shadow_of IS NOT NULL) = :shadow
), asked AS (
    SELECT inference_id FROM own UNION SELECT shadow_of FROM own WHERE shadow_of IS NOT NULL
)
SELECT inference_id, content
FROM asked JOIN feedback.inferences USING (inference_id) LEFT JOIN feedback.answer_toxicity USING (inference_id)
WHERE toxicity_0_1 IS NULL AND refuses IS NOT NULL AND content IS NOT NULL LIMIT :at_most
""")
