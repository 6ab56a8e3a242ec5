"""The blocks of the model language, one file a family. `base.py` comes first; docs/extending.md adds one of your own.

A file has the settings of its blocks, their scaling with `width`, and the layers that they become. No torch.
"""

from archsearch.model.blocks import attention, conv, group, mobile, parallel, pool, residual

__all__ = ["attention", "conv", "group", "mobile", "parallel", "pool", "residual"]
