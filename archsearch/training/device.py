"""Selects and names the device that a network is trained on."""

import torch

from archsearch.errors import UserError
from archsearch.system.hardware import processor_name


def pick_device(name: str) -> torch.device:
    """The device for `trainer.device`; `auto` prefers cuda, then mps, then cpu.

    Raises `UserError` if torch does not see the device.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    device = torch.device(name)
    count = {"cpu": 1, "mps": int(mps), "cuda": torch.cuda.device_count() if cuda else 0}[device.type]
    if (device.index or 0) >= count:
        raise UserError(f"trainer.device: got {name!r}, which torch does not see on this machine; use auto or cpu")
    return device


def device_name(device: torch.device) -> str:
    """The name of the GPU, or of the processor with its number of cores."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
