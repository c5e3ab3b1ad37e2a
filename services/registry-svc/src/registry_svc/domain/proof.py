"""What signature and watermark prove of a version's files, and what is refused for it."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from loopwright.contracts.jobs import JobKind
from registry_svc.domain.training_card import MarkRecord, TrainingCard


class Policy(StrEnum):
    """How much an artefact must prove."""

    REQUIRE = "require"  # refuse what is not signed, or lacks the mark that a job leaves
    CHECK = "check"  # refuse what was tampered with; what never was signed is taken, and shown as unsigned
    OFF = "off"


class SignatureFinding(StrEnum):
    VALID = "valid"
    MISSING = "missing"
    INVALID = "invalid"
    UNCHECKED = "unchecked"


class MarkFinding(StrEnum):
    FOUND = "found"
    LOST = "lost"  # the card promises a mark that the weights do not carry
    MISSING = "missing"  # a training job left none
    NOT_EXPECTED = "not_expected"  # too few weights, or a format that no mark outlives
    UNCHECKED = "unchecked"


class Proof(BaseModel):
    """What was found in an artefact."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    signature: SignatureFinding = Field(description="of the list of files")
    signature_detail: str | None = Field(default=None, description="why it does not hold")
    signed_for: str | None = Field(default=None, description="job that a valid signature names")
    mark: MarkFinding = Field(description="keyed pattern in the weights")
    mark_z: float | None = Field(default=None, description="strength; above 5.26 it is there by less than 1e-6 chance")
    checked_at: datetime


_REASONS = {
    "artefact.signature-invalid": "its signature does not hold",
    "artefact.mark-lost": "its card promises a watermark that its weights do not carry",
    "artefact.signature-missing": "it is not signed by one of the trusted keys",
    "artefact.mark-missing": "a training job made it and left no watermark",
}


def promised_mark(card: TrainingCard | None, *, job_id: str | None, base_at_hand: bool) -> MarkRecord | MarkFinding:
    """The mark to look for, or why none is looked for.

    Four-bit rounding and pruning remove an adapter's mark, and a merged one is found only beside its base
    (docs/decisions/0012).
    """
    if card is None or job_id is None:
        return MarkFinding.NOT_EXPECTED
    trained, merged = card.kind is JobKind.TRAIN, card.kind is JobKind.MERGE
    if not (trained or (merged and base_at_hand)):
        return MarkFinding.NOT_EXPECTED
    if card.watermark is None:
        return MarkFinding.MISSING if trained else MarkFinding.NOT_EXPECTED
    if not card.watermark.can_be_found(merged=merged):
        return MarkFinding.NOT_EXPECTED
    # a card that names another owner than the job it belongs to promises the job's mark all the same
    return card.watermark.model_copy(update={"owner_id": job_id}) if trained else card.watermark


def why_refused(policy: Policy, proof: Proof) -> tuple[str, str] | None:
    """Stable code and reason of a refusal; None if the artefact may be used."""
    tampered = {
        "artefact.signature-invalid": proof.signature is SignatureFinding.INVALID,
        "artefact.mark-lost": proof.mark is MarkFinding.LOST,
    }
    unproven = {
        "artefact.signature-missing": proof.signature is not SignatureFinding.VALID,
        "artefact.mark-missing": proof.mark is MarkFinding.MISSING,
    }
    looked_at = {Policy.OFF: {}, Policy.CHECK: tampered, Policy.REQUIRE: tampered | unproven}[policy]
    code = next((code for code, holds in looked_at.items() if holds), None)
    if code is None:
        return None
    told = proof.signature_detail if code.startswith("artefact.signature") else None
    return code, _REASONS[code] if told is None else f"{_REASONS[code]}: {told}"
