"""Which marks are looked for, and what is refused for lack of proof."""

from datetime import UTC, datetime

import pytest

from loopwright.contracts.jobs import JobKind
from registry_svc.domain.proof import MarkFinding, Policy, Proof, SignatureFinding, promised_mark, why_refused
from registry_svc.domain.training_card import LARGEST_CARD_BYTES, MarkRecord, TrainingCard, read_training_card

MARK = MarkRecord(owner_id="job-1", z=12.0, merged_z=7.0, weights=10_000)


def a_card(kind: JobKind = JobKind.TRAIN, mark: MarkRecord | None = MARK) -> TrainingCard:
    return TrainingCard(job_id="job-1", kind=kind, base_model="tiny", watermark=mark)


def promised(card: TrainingCard | None, *, job_id: str | None = "job-1", base: bool = True):
    return promised_mark(card, job_id=job_id, base_at_hand=base)


class TestPromisedMark:
    def test_of_a_training_job_is_the_job_s_own_whatever_the_card_says_of_its_owner(self):
        card = a_card(mark=MARK.model_copy(update={"owner_id": "somebody"}))
        assert promised(card) == MARK

    def test_of_merged_weights_needs_the_base_model(self):
        assert promised(a_card(JobKind.MERGE)) == MARK
        assert promised(a_card(JobKind.MERGE), base=False) is MarkFinding.NOT_EXPECTED

    @pytest.mark.parametrize("kind", [JobKind.GGUF, JobKind.AWQ, JobKind.GPTQ, JobKind.PRUNE])
    def test_is_not_looked_for_where_it_does_not_survive(self, kind):
        assert promised(a_card(kind)) is MarkFinding.NOT_EXPECTED

    def test_is_not_looked_for_where_it_was_too_weak_from_the_start_or_nobody_of_ours_made_it(self):
        weak = MARK.model_copy(update={"z": 2.0})
        assert promised(a_card(mark=weak)) is MarkFinding.NOT_EXPECTED
        assert promised(a_card(), job_id=None) is MarkFinding.NOT_EXPECTED
        assert promised(None) is MarkFinding.NOT_EXPECTED

    def test_is_missing_where_a_training_job_left_none(self):
        assert promised(a_card(mark=None)) is MarkFinding.MISSING


SIGNED, MARKED = SignatureFinding, MarkFinding


@pytest.mark.parametrize(
    ("signature", "mark", "under_check", "under_require"),
    [
        (SIGNED.VALID, MARKED.FOUND, None, None),
        (SIGNED.VALID, MARKED.NOT_EXPECTED, None, None),
        (SIGNED.INVALID, MARKED.FOUND, "artefact.signature-invalid", "artefact.signature-invalid"),
        (SIGNED.VALID, MARKED.LOST, "artefact.mark-lost", "artefact.mark-lost"),
        (SIGNED.MISSING, MARKED.NOT_EXPECTED, None, "artefact.signature-missing"),
        (SIGNED.UNCHECKED, MARKED.FOUND, None, "artefact.signature-missing"),
        (SIGNED.VALID, MARKED.MISSING, None, "artefact.mark-missing"),
    ],
)
def test_a_policy_refuses(signature, mark, under_check, under_require):
    proof = Proof(signature=signature, mark=mark, checked_at=datetime(2026, 11, 22, tzinfo=UTC))
    for policy, code in ((Policy.OFF, None), (Policy.CHECK, under_check), (Policy.REQUIRE, under_require)):
        refused = why_refused(policy, proof)
        assert (None if refused is None else refused[0]) == code


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"job_id": "a\\u0000", "kind": "train", "base_model": "b"}', b"{" * 70_000]
)
def test_a_card_that_is_none_says_nothing(content):
    assert read_training_card(content) is None


def test_a_card_is_read_up_to_its_length():
    known = a_card().model_dump_json().encode()
    assert read_training_card(known) == a_card()
    assert read_training_card(known + b" " * LARGEST_CARD_BYTES) is None
