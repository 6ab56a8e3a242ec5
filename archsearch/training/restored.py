"""The trained network of a checkpoint."""

import copy

from torch import nn

from archsearch.data.catalogue import dataset_info
from archsearch.data.info import DatasetInfo
from archsearch.errors import ConfigError, ResumeError, first_line
from archsearch.model.builder import build_plan
from archsearch.model.classifier import Classifier, Preprocessing
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import parse_model
from archsearch.training.checkpoint import Checkpoint


def restored_network(checkpoint: Checkpoint, data: str, module: nn.Module | None = None) -> nn.Module:
    """The network of `checkpoint`, trained on the data set `data`, in eval mode: with averaged weights if it has them.

    `module` is a network like it, whose copy receives the weights. It must be given if the network was not built from a
    model. Raises `ResumeError`.
    """
    average = checkpoint.trainer["average"]
    weights = checkpoint.trainer["network"] if average is None else average["network"]
    network = build_plan(restored_plan(checkpoint, data)) if module is None else copy.deepcopy(module).cpu()
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ResumeError(f"the checkpoint's weights do not fit this network: {first_line(error)}") from error
    return network.eval()


def restored_plan(checkpoint: Checkpoint, data: str) -> Plan:
    """The plan of the network of `checkpoint`. Raises `ResumeError` if it was not built from a model."""
    model = checkpoint.config["model"]
    if "network" in model:
        name = model["network"]
        raise ResumeError(f"the run trained a network of its own ({name}): pass one, as in run.network({name}())")
    spec, problems = parse_model(model)
    if spec is None:
        raise ConfigError(problems)
    info = restored_info(checkpoint, data)
    return plan(spec, info.shape, len(info.classes))


def restored_info(checkpoint: Checkpoint, data: str) -> DatasetInfo:
    """The data set `data` that `checkpoint` was trained on."""
    return dataset_info(data) if checkpoint.dataset is None else DatasetInfo.from_dict(checkpoint.dataset)


def classifier_of(network: nn.Module, info: DatasetInfo) -> Classifier:
    """`network`, trained on the data set `info`, from raw pixels. In eval mode, as `network` is afterwards."""
    return Classifier(Preprocessing(info.shape, info.mean, info.std), network, info.classes).eval()
