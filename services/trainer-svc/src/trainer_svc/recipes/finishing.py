"""What a folder gets before it gets its name: the owner's mark, a card, and last a signature over all of it."""

from pathlib import Path

from loopwright.signatures import Signature, read_private_key, sign_folder
from loopwright.watermark import Pattern
from trainer_svc.recipes.card import CardFacts, write_card
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.watermark import WatermarkRecord, mark_folder


def finish(folder: Path, job: JobFile, facts: CardFacts) -> None:
    """Marks what was learned, writes its card, signs the folder; in this order, for each speaks of the one before.

    Call it on the folder under its partial name: what readers see is then whole.

    Raises:
        TrainingFailed: nothing was learned, or a key cannot be read.
    """
    record = mark(folder, job)
    write_card(folder, facts.model_copy(update={"watermark": record}))
    sign(folder, job)


def mark(folder: Path, job: JobFile) -> WatermarkRecord | None:
    """Embeds the job's watermark; None if the job has no key for it.

    Raises:
        TrainingFailed: nothing was learned, or the key cannot be read.
    """
    if job.watermark_key_file is None:
        return None
    try:
        pattern = Pattern(job.watermark_key_file.read_bytes(), job.job_id)
    except (OSError, ValueError) as error:
        raise _no_key(error) from error
    return mark_folder(folder, pattern, base=job.base_model)


def sign(folder: Path, job: JobFile) -> Signature | None:
    """Signs a folder; None if the job has no key for it.

    Raises:
        TrainingFailed: the key cannot be read.
    """
    if job.signing_key_file is None:
        return None
    try:
        key = read_private_key(job.signing_key_file)
    except (OSError, ValueError) as error:
        raise _no_key(error) from error
    return sign_folder(folder, key, subject=job.job_id)


def _no_key(error: Exception) -> TrainingFailed:
    advice = "look at the key files that the service is told of, and at who may read them"
    return TrainingFailed("training.no-key", f"a key cannot be used: {error}", advice=advice)
