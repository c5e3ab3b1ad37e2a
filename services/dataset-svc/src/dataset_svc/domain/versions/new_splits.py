"""Dividing a version's samples anew: what may be asked for. What is held out stays so (rule 10), whatever is asked."""

import math

from dataset_svc.domain.splits import Shares
from loopwright.errors import Conflict

_STEPS = 1e6  # a share is named to the sixth decimal


def check_held_out_stays(wanted: Shares, current: Shares, *, held_out: int, samples: int) -> None:
    """Says no to a held-out part that is smaller than what is held out; the share as it was may always be asked for.

    Args:
        current: What the version was made by; whole clusters can put a few samples more into a part.
        held_out: Of the samples, those that this version or a later one holds out.

    Raises:
        Conflict: some held-out cases would have to be trained on.
    """
    enough = math.ceil(wanted.held_out_0_1 * samples) >= held_out
    if enough or wanted.held_out_0_1 == current.held_out_0_1:
        return
    raise Conflict(
        "dataset.held-out-stays",
        f"{held_out} of {samples} samples are held out, and what was held out once never trains; ask for a larger share",
        held_out_samples=held_out,
        samples=samples,
        least_held_out_share_0_1=math.ceil(held_out / samples * _STEPS) / _STEPS,
    )
