"""The machine and the code that a benchmark measures."""

import os
import platform
import sys

from summary import Row

from archsearch.system.hardware import processor_name
from archsearch.tracking.provenance import provenance


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hardware() -> Row:
    """Processor, cores and operating system."""
    return {
        "processor": processor_name(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def code() -> Row:
    """Versions of archsearch and its dependencies, and the commit."""
    tags = provenance(processor_name())
    return {
        **{key: value for key, value in tags.items() if key.startswith(("versions.", "archsearch."))},
        "commit": tags.get("mlflow.source.git.commit", "unknown"),
        "changed_since_commit": tags.get("git.dirty", "unknown"),
    }


def load_before() -> float:
    """The load average before anything is measured. Prints a warning if other processes are busy."""
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"WARNING: the machine is not idle (load {load:.1f}); the ranges will be wide", file=sys.stderr)
    return round(load, 2)
