"""The processor of this machine. No torch."""

import os
import platform
from functools import lru_cache
from pathlib import Path

_BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # instruction sets
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd")


def processor_name() -> str:
    """The processor's name and its number of cores."""
    return f"{_model_name()}, {os.cpu_count()} cores"


def processor_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware, as far as Linux says so."""
    return bool(_BFLOAT16 & set(_cpuinfo().get("flags", "").split()))


def gpu_may_be_here() -> bool:
    """Whether a GPU's driver is loaded, as far as Linux shows it. False on macOS, unknown (True) elsewhere."""
    system = platform.system()
    return any(Path(path).exists() for path in _GPU_DEVICES) if system == "Linux" else system != "Darwin"


def _model_name() -> str:
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first core; empty elsewhere."""
    try:
        first, _, _ = Path("/proc/cpuinfo").read_text().partition("\n\n")
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}
