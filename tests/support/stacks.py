"""Prepared runs that can be stacked."""

from functools import cache

import torch

from archsearch.compose.validate import judge
from archsearch.data.definitions import DEFINITIONS
from archsearch.data.load import Choice
from archsearch.runs.prepare import Experiment
from tests.support.requests import QUICK, ask

CPU = torch.device("cpu")


SMALL = (*QUICK, "data.validation=20", "trainer.batch_size=32", "model.dropout=0", "trainer.eval_batch_size=30")


@cache
def experiment(*overrides: str) -> Experiment:
    request = ask(*SMALL, *overrides)
    parsed, network = judge(request.config)
    return Experiment(request, parsed, network, Choice(DEFINITIONS["digits"]), None)
