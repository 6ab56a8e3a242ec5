"""The processor of this machine."""

import os
import platform
from pathlib import Path


def processor_name() -> str:
    """The processor's name and its number of cores."""
    return f"{_model_name()}, {os.cpu_count()} cores"


def _model_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
