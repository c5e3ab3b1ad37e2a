"""The card says what is known, says what is not, and stays within its lines."""

from datetime import UTC, datetime

from loopwright.contracts.jobs import JobKind
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.cards import EvaluationFacts, MetricFacts, ModelCard, as_markdown, limits_of
from registry_svc.domain.models import DeploymentSettings, ModelStatus
from registry_svc.domain.training_card import TrainingCard

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def a_card(**changes) -> ModelCard:
    facts: dict[str, object] = {
        "variant_id": "mood:3", "status": ModelStatus.STAGING, "task_id": "mood", "description": "an adapter",
        "base_model": "tiny", "base_license": "apache-2.0", "format": ModelFormat.LORA, "size_bytes": 10,
        "sha256": "0" * 64, "parent": None, "job_id": "job-1", "tags": ("a",), "settings": DeploymentSettings(),
        "data": None, "training": TrainingCard(job_id="job-1", kind=JobKind.TRAIN, base_model="tiny", eval_loss=0.25),
        "evaluations": (an_evaluation(),), "experiments": (), "proof": None, "limits": (),
        "mlflow_uri": "models:/mood/3", "created_by": "me", "created_at": NOW,
    }  # fmt: skip
    return ModelCard.model_validate(facts | changes)


def an_evaluation(**changes) -> EvaluationFacts:
    accuracy = MetricFacts(name="accuracy", value=0.9, lower=0.81, upper=0.95, cases=80, why_not=None)
    unknown = MetricFacts(name="rouge_l", value=None, lower=None, upper=None, cases=0, why_not="no texts")
    facts: dict[str, object] = {
        "evaluation_id": "e1", "kind": "gate", "champion": "tiny:1", "held_out_sha256": "a" * 64,
        "confidence_0_1": 0.95, "metrics": (accuracy, unknown), "passed": True, "reasons": ("accuracy is fine",),
        "finished_at": NOW,
    }  # fmt: skip
    return EvaluationFacts.model_validate(facts | changes)


def test_metrics_come_with_intervals_or_with_the_reason_why_there_is_none():
    told = as_markdown(a_card())
    assert "| accuracy | 0.9 | 0.81 to 0.95 | 80 |" in told
    assert "| rouge_l | no texts | none | 0 |" in told
    assert "## Evaluation e1: passed" in told
    assert "| eval_loss | 0.25 |" in told


def test_what_is_not_known_is_a_limit():
    known, unknown = limits_of(a_card()), limits_of(a_card(base_license=None, evaluations=(), job_id=None))
    assert not any("licence" in limit for limit in known)
    assert any("No licence" in limit for limit in unknown)
    assert any("never evaluated" in limit for limit in unknown)


def test_hostile_words_stay_in_their_cell():
    told = as_markdown(a_card(description="x\n# Not a title\n|a|b|", tags=("<script>",)))
    assert "\n# Not a title" not in told
    assert "<script>" not in told
    assert "\\|a\\|b\\|" in told
