"""Puts placeholders where personal data stood, in every text of a sample."""

from collections import Counter
from dataclasses import dataclass

import msgspec

from dataset_svc.domain.detectors import PersonalKind
from dataset_svc.domain.personal_data import find_personal_data
from dataset_svc.domain.samples import Sample, Turn

PLACEHOLDERS = {
    PersonalKind.SECRET: "[비밀키]",
    PersonalKind.EMAIL: "[이메일]",
    PersonalKind.RESIDENT_NUMBER: "[주민등록번호]",
    PersonalKind.FOREIGNER_NUMBER: "[외국인등록번호]",
    PersonalKind.CARD_NUMBER: "[카드번호]",
    PersonalKind.PHONE: "[전화번호]",
    PersonalKind.IP_ADDRESS: "[IP주소]",
}
_MOST_PASSES = 10


@dataclass(frozen=True, kw_only=True)
class Masked:
    """A sample without what was found in it, and how much of each kind was found."""

    sample: Sample
    found: Counter[PersonalKind]


def mask_text(text: str) -> tuple[str, Counter[PersonalKind]]:
    """The text with placeholders, and what they stand for; masking it again changes nothing.

    A placeholder can uncover what its neighbour hid (two numbers joined by a hyphen), hence the passes; ten bound the
    time that a hostile text can take.
    """
    found: Counter[PersonalKind] = Counter()
    for _ in range(_MOST_PASSES):
        findings = find_personal_data(text)
        if not findings:
            break
        pieces: list[str] = []
        end = 0
        for finding in findings:
            pieces += (text[end : finding.start], PLACEHOLDERS[finding.kind])
            end = finding.end
            found[finding.kind] += 1
        text = "".join(pieces) + text[end:]
    return text, found


def mask_sample(sample: Sample) -> Masked:
    """Masks every turn and the input; what stands in both is counted once, in the turn."""
    found: Counter[PersonalKind] = Counter()
    turns: list[Turn] = []
    for turn in sample.messages:
        content, kinds = mask_text(turn.content)
        found += kinds
        turns.append(Turn(role=turn.role, content=content))
    asked, in_input = mask_text(sample.input)
    found |= in_input
    if not found:
        return Masked(sample=sample, found=found)
    return Masked(sample=msgspec.structs.replace(sample, input=asked, messages=tuple(turns)), found=found)
