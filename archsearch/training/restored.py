"""The trained network of a checkpoint."""

import copy

from torch import nn

from archsearch.data.catalogue import dataset_info
from archsearch.data.info import DatasetInfo
from archsearch.errors import ConfigError, ResumeError, first_line
from archsearch.model.builder import build
from archsearch.model.spec import parse_model
from archsearch.training.checkpoint import Checkpoint


def restored_network(checkpoint: Checkpoint, data: str, module: nn.Module | None = None) -> nn.Module:
    """The network of `checkpoint`, trained on the data set `data`, in eval mode: with averaged weights if it has them.

    `module` is a network like it, whose copy receives the weights. It must be given if the network was not built from a
    model. Raises `ResumeError`.
    """
    average = checkpoint.trainer["average"]
    weights = checkpoint.trainer["network"] if average is None else average["network"]
    network = _described(checkpoint, data) if module is None else copy.deepcopy(module).cpu()
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ResumeError(f"the checkpoint's weights do not fit this network: {first_line(error)}") from error
    return network.eval()


def _described(checkpoint: Checkpoint, data: str) -> nn.Module:
    model = checkpoint.config["model"]
    if "network" in model:
        name = model["network"]
        raise ResumeError(f"the run trained a network of its own ({name}): pass one, as in run.network({name}())")
    spec, problems = parse_model(model)
    if spec is None:
        raise ConfigError(problems)
    info = dataset_info(data) if checkpoint.dataset is None else DatasetInfo.from_dict(checkpoint.dataset)
    return build(spec, info.shape, len(info.classes))
