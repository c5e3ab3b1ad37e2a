"""Asks an artefact's files for their signature and their watermark, and refuses what the policy does not take."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from loopwright.contracts.jobs import JobKind
from loopwright.errors import Conflict, InvalidPayload
from loopwright.signatures import verify_folder
from loopwright.watermark import Pattern, score_folder
from registry_svc.domain.proof import MarkFinding, Policy, Proof, SignatureFinding, promised_mark, why_refused
from registry_svc.domain.training_card import (
    CARD_FILE,
    LARGEST_CARD_BYTES,
    MarkRecord,
    TrainingCard,
    read_training_card,
)

_Signed = tuple[SignatureFinding, str | None]


class ArtefactRefused(Conflict):
    """Files that are not what was signed, or that lack a proof which the policy wants; the code says which."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What files are said to be.

    Attributes:
        job_id: Job that they are said to come from; None for files that no job of ours made.
        base_model: Model that a merged one was made of.
    """

    job_id: str | None
    base_model: str


class Verifier:
    """Checks folders of model files.

    Args:
        public_keys: Keys that may have signed; empty: no signature can be checked.
        mark_key: Secret that finds watermarks; None: none is looked for.
        base_models: Folders of base models by name, beside which marks in merged weights are found.
    """

    def __init__(
        self, policy: Policy, *, public_keys: tuple[Ed25519PublicKey, ...] = (), mark_key: bytes | None = None,
        base_models: Mapping[str, Path] | None = None,
    ) -> None:  # fmt: skip
        if mark_key is not None:
            Pattern(mark_key, "any")  # a key of the wrong length is said at the start
        if policy is Policy.REQUIRE and not public_keys:
            raise ValueError("artefacts must be signed, but there are no public keys to check them with")
        self._policy = policy
        self._public_keys = public_keys
        self._mark_key = mark_key
        self._base_models = base_models or {}

    def examine(self, folder: Path, claim: Claim) -> tuple[Proof, TrainingCard | None]:
        """Looks at everything; may take seconds. Nobody may write to the folder meanwhile.

        Raises:
            ArtefactRefused: the policy does not take it.
            InvalidPayload: weights cannot be read.
        """
        card = _card_in(folder)
        checks = self._policy is not Policy.OFF
        signature, told = self._signature(folder, claim) if checks else (SignatureFinding.UNCHECKED, None)
        mark, z = MarkFinding.UNCHECKED, None
        if checks and signature is not SignatureFinding.INVALID:  # what is refused already need not be readable
            mark, z = self._mark(folder, claim, card)
        valid = signature is SignatureFinding.VALID
        proof = Proof(
            signature=signature, signature_detail=None if valid else told, signed_for=told if valid else None, mark=mark,
            mark_z=z, checked_at=datetime.now(UTC),
        )  # fmt: skip
        refusal = why_refused(self._policy, proof)
        if refusal is not None:
            code, reason = refusal
            raise ArtefactRefused(code, f"the artefact is refused: {reason}", job_id=claim.job_id)
        return proof, card

    def _signature(self, folder: Path, claim: Claim) -> _Signed:
        """Finding, and what was signed or why it does not hold."""
        if not self._public_keys:
            return SignatureFinding.UNCHECKED, "there are no public keys to check it with"
        try:
            manifest = verify_folder(folder, self._public_keys)
        except InvalidPayload as error:
            missing = error.code == "signature.missing"
            return SignatureFinding.MISSING if missing else SignatureFinding.INVALID, error.detail
        if claim.job_id is not None and manifest.subject != claim.job_id:
            return SignatureFinding.INVALID, f"it was signed for {manifest.subject}, not for {claim.job_id}"
        return SignatureFinding.VALID, manifest.subject

    def _mark(self, folder: Path, claim: Claim, card: TrainingCard | None) -> tuple[MarkFinding, float | None]:
        if self._mark_key is None:
            return MarkFinding.UNCHECKED, None
        base = self._base_models.get(claim.base_model) if card is not None and card.kind is JobKind.MERGE else None
        promised = promised_mark(card, job_id=claim.job_id, base_at_hand=base is not None)
        if not isinstance(promised, MarkRecord):
            return promised, None
        score = score_folder(folder, Pattern(self._mark_key, promised.owner_id), base=base)
        return MarkFinding.FOUND if score.detected else MarkFinding.LOST, round(score.z, 3)


def _card_in(folder: Path) -> TrainingCard | None:
    try:
        with (folder / CARD_FILE).open("rb") as file:
            return read_training_card(file.read(LARGEST_CARD_BYTES + 1))
    except OSError:
        return None
