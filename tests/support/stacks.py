"""Prepared runs that can be stacked."""

from functools import cache

import torch

from archsearch.compose.validate import validate
from archsearch.data.info import DATASETS
from archsearch.data.load import ResolvedDataset
from archsearch.runs.prepare import PreparedRun
from tests.support.requests import QUICK, ask

CPU = torch.device("cpu")


SMALL = (*QUICK, "data.validation=20", "trainer.batch_size=32", "model.dropout=0", "trainer.eval_batch_size=30")


@cache
def experiment(*overrides: str) -> PreparedRun:
    request = ask(*SMALL, *overrides)
    parsed, network = validate(request.config).require()
    return PreparedRun(request, parsed, network, ResolvedDataset(DATASETS["digits"]), None)
