"""vLLM on CPU: the base model, with adapters loaded and unloaded while it runs."""

from pathlib import Path

from loopwright_local.errors import Missing
from loopwright_local.part import Part, PortClaim
from loopwright_local.probes import http_probe
from loopwright_local.settings import LocalSettings

MAX_LORA_RANK = 8  # on CPU every token gathers whole adapters padded to this rank: 16 took nearly twice the time
MAX_LORAS = 4
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def vllm_part(settings: LocalSettings) -> Part:
    """Describe the server.

    Raises:
        Missing: its environment or the model's folder is not there.
    """
    if not settings.vllm_python.exists():
        raise Missing(f"vLLM's environment is not at {settings.vllm_python}: run `make setup`, or set LOCAL_VLLM_URLS")
    if not (settings.model_path / "config.json").exists():
        raise Missing(f"the base model is not at {settings.model_path}: run `make setup`")
    return Part(
        name="vllm",
        command=(
            *(str(settings.vllm_python), "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(settings.model_path.resolve()), "--served-model-name", settings.base_model),
            *("--host", "127.0.0.1", "--port", str(settings.vllm_port)),
            *("--enable-lora", "--max-lora-rank", str(MAX_LORA_RANK), "--max-loras", str(MAX_LORAS)),
            *("--max-model-len", str(settings.vllm_max_model_len), "--enforce-eager"),
            # blocks of the default 128 tokens are longer than a task's system prompt, and would never be found again
            *("--block-size", "32"),
            *("--dtype", settings.vllm_dtype or _faster_dtype()),
            # answers to a schema without free whitespace: a third fewer tokens, and the form that models are trained on
            *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
            *("--distributed-executor-backend", "uni", "--disable-uvicorn-access-log"),
        ),
        env={
            "VLLM_TARGET_DEVICE": "cpu",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
            # engine inside the server process: one import of vLLM instead of two, 0.7 GB less
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            # threads that wait spin for some microseconds only: long spinning starves training beside it, none at all
            # makes a system call of each of a step's thousand barriers
            "GOMP_SPINCOUNT": "20000",
            # temporaries stay with the process: giving them back to the kernel took a third of all time
            "MALLOC_MMAP_MAX_": "0",
            "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
            "MALLOC_TOP_PAD_": str(256 << 20),
            "OMP_NUM_THREADS": str(settings.vllm_threads),
        },
        ready=http_probe(settings.vllm_port, "/health"),
        ports=(PortClaim("LOCAL_VLLM_PORT", settings.vllm_port),),
        url=f"http://127.0.0.1:{settings.vllm_port}",
    )


def _faster_dtype() -> str:
    """Return the format that this CPU computes with; without bfloat16 instructions float32 is about 3 times faster."""
    words = set(Path("/proc/cpuinfo").read_text().split())
    return "bfloat16" if words & BFLOAT16_FLAGS else "float32"


def vllm_urls(settings: LocalSettings) -> tuple[str, ...]:
    return settings.vllm_urls or (f"http://127.0.0.1:{settings.vllm_port}",)
