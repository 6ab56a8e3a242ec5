"""Training inside a process of somebody else's, such as a notebook, without influence in either direction."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def isolated_torch() -> Iterator[None]:
    """Train as in a new process, and leave torch's random state and settings as they were.

    The number of threads is the process's own unless `trainer.threads` is set; it is restored, too.
    """
    threads, dtype, precision = (
        torch.get_num_threads(), torch.get_default_dtype(), torch.get_float32_matmul_precision(),
    )  # fmt: skip
    try:
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=[]))
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(torch.device("cpu"))  # where tensors are made, unless the code says otherwise
            for kind in ("cpu", "cuda"):
                stack.enter_context(torch.autocast(kind, enabled=False))
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_float32_matmul_precision(precision)
