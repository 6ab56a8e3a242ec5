"""Freed memory is kept: counted in page faults, which do not depend on the machine's speed."""

import os
import subprocess
import sys

import pytest

from tests.support.processes import REPOSITORY

FAULTS = """
import resource, sys
import torch
from archsearch.system.process import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
torch.set_num_threads(1)
# Of 40 MB each: smaller ones glibc keeps by itself at times, where something else lies behind them.
for _ in range(3):  # the first ones have to get it
    [torch.ones(10_000_000) for _ in range(2)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    [torch.ones(10_000_000) for _ in range(2)]
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments: str, **environment: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, *arguments], env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    kept, count = done.stdout.split()
    return kept, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_memory_that_was_freed_is_used_again() -> None:
    kept, few = faults("keep")
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    _, many = faults("leave")
    assert few * 10 < many


def test_a_persons_own_settings_of_malloc_are_left_alone() -> None:
    kept, _ = faults("keep", MALLOC_TRIM_THRESHOLD_="131072")
    assert kept == "False"
