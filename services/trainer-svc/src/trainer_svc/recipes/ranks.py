"""Processes that run one recipe together: one speaks for all, and what depends on time or signals they agree upon."""

import torch
import torch.distributed as dist


def is_first() -> bool:
    """Whether this process speaks for all."""
    return not dist.is_initialized() or dist.get_rank() == 0


def agreed(wish: bool) -> bool:  # noqa: FBT001 - the one thing it is about
    """Whether any of the processes wishes it; all of them get the same answer."""
    if not dist.is_initialized():
        return wish
    wishes = torch.tensor(int(wish))  # on the CPU: waits for no kernel
    dist.all_reduce(wishes, op=dist.ReduceOp.MAX)
    return bool(wishes.item())


def wait_for_all() -> None:
    if dist.is_initialized():
        dist.barrier()
