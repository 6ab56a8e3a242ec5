"""Optuna's samplers, each made anew for one trial, with a seed of its own. Imports Optuna, so import it late.

They are told the space. On their own they compute it from all trials before, which takes longer than all the rest.
"""

# ruff: noqa: ARG002 # Optuna's signatures

import warnings
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class _KnownSpace(BaseSampler):
    """What is common to the samplers below."""

    known: Mapping[str, BaseDistribution]

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All settings that vary."""
        return {name: distribution for name, distribution in self.known.items() if not distribution.single()}


class _TPE(_KnownSpace, TPESampler):
    pass


class _NSGA2(_KnownSpace, NSGAIISampler):
    pass


class _GP(_KnownSpace, GPSampler):
    pass


def sampler_by_name(name: str, seed: int, distributions: Mapping[str, BaseDistribution]) -> BaseSampler:
    """Optuna's sampler `name` for a space, or one that only draws at random."""
    sampler: _KnownSpace
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        match name:
            case "tpe":
                # With several objectives, its default samples each setting by itself, and sorts all trials each time.
                sampler = _TPE(seed=seed, multivariate=True)
            case "nsga2":
                sampler = _NSGA2(seed=seed, population_size=20)  # its default of 50 is a quarter of 200 trials
            case "gp":
                sampler = _GP(seed=seed)
            case _:
                return RandomSampler(seed=seed)
    sampler.known = distributions
    return sampler


class Given(BaseSampler):
    """Gives a trial the values that are chosen already. `instead_of` is the sampler that would have chosen them."""

    def __init__(
        self, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution], instead_of: BaseSampler
    ) -> None:
        self.params, self.distributions, self.instead_of = dict(params), dict(distributions), instead_of

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All settings."""
        return self.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values."""
        if isinstance(self.instead_of, NSGAIISampler):
            self.instead_of.get_trial_generation(study, trial)  # which notes it: it is part of a population, too
        return self.params

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of a setting."""
        return self.params[param_name]
