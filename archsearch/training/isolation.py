"""Training inside a process of somebody else's, such as a notebook, without influence in either direction."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def isolated_torch() -> Iterator[None]:
    """Train as in a new process, with gradients, and leave torch's random state and number of threads as they were."""
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)
