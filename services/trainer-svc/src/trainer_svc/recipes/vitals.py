"""What a training process uses of its machine, by the names that MLflow shows as system metrics."""

import os
import time
from pathlib import Path

import torch

_MEGABYTE = 1 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Vitals:
    """Measures this process and its device; costs some microseconds a look."""

    def __init__(self) -> None:
        self._seen_at = time.monotonic()
        self._cpu_s = time.process_time()

    def read(self) -> dict[str, float]:
        """Figures now; the CPU's are the mean since the look before, 100 for one core at full use."""
        now, cpu_s = time.monotonic(), time.process_time()
        share = (cpu_s - self._cpu_s) / max(now - self._seen_at, 1e-9)
        self._seen_at, self._cpu_s = now, cpu_s
        figures = {
            "system/process_cpu_percentage": 100 * share,
            "system/process_memory_megabytes": _resident_bytes() / _MEGABYTE,
        }
        # asking an unused device would occupy memory on it
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            free, total = torch.cuda.mem_get_info()
            figures |= {
                "system/gpu_0_memory_usage_megabytes": (total - free) / _MEGABYTE,
                "system/gpu_0_process_memory_megabytes": torch.cuda.memory_reserved() / _MEGABYTE,
            }
        return figures


def _resident_bytes() -> int:
    """proc(5): the second figure of statm, in pages."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
