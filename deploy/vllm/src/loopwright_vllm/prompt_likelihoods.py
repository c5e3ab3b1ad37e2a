"""Plug-in of vLLM: on CPUs with adapters, likelihoods of prompts no longer end the engine.

vLLM 0.32 computes the logits of a prompt's tokens with as many adapter indices as there are requests, one a request
instead of one a token, and its CPU kernels refuse that (on GPUs the kernel reads past them). The step adds what an
adapter changes in the output layer. Adapters that leave that layer alone, as ours do, change nothing there, so the
step is left out for such calls.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_MARK = "_loopwright_prompt_likelihoods"


def register() -> None:
    """Called by vLLM in each of its processes, perhaps more than once."""
    from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU  # noqa: PLC0415 - vLLM is being imported itself

    original = PunicaWrapperCPU.add_lora_logits
    if hasattr(original, _MARK):
        return

    def add_lora_logits(
        self: PunicaWrapperCPU,
        y: "torch.Tensor",
        x: "torch.Tensor",
        lora_a_stacked: "torch.Tensor",
        lora_b_stacked: "torch.Tensor",
        scale: float,
        **others: object,
    ) -> None:
        if x.view(-1, x.shape[-1]).shape[0] == self.sampler_indices.shape[0]:
            original(self, y, x, lora_a_stacked, lora_b_stacked, scale, **others)
        elif bool(lora_a_stacked.any()):
            raise NotImplementedError("likelihoods of prompts beside an adapter of the output layer, on a CPU")

    setattr(add_lora_logits, _MARK, True)
    PunicaWrapperCPU.add_lora_logits = add_lora_logits
