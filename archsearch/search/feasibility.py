"""Before a search: are all values of the space valid, and does any network fit into the budget?"""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from archsearch.config.settings import Constraints
from archsearch.errors import ConfigError, Problem
from archsearch.search.candidate import Candidate, Checked, Value
from archsearch.search.checks import Check
from archsearch.search.domains import Choice, Reals, as_written
from archsearch.search.draws import closest
from archsearch.search.grammar import Setting
from archsearch.search.space import Space

_LISTED = 50  # values of a setting that are tried


def check_space(space: Space, check: Check, constraints: Constraints, seed: int) -> Checked:
    """A candidate that fits. Raises `ConfigError` with all invalid values, or with the network closest to the budget.

    It takes seconds: each value is composed once, then a few hundred candidates.
    """
    check_values(space, check, seed)
    best = closest(space, check, Random(seed))
    if best.fits:
        return best
    if best.identity is None:
        rule = "no network of the space can be trained"
        raise ConfigError([replace(problem, message=f"{rule}: {problem.message}") for problem in best.problems])
    raise ConfigError(_misfits(best, constraints))


def check_values(space: Space, check: Check, seed: int) -> None:
    """Raise `ConfigError` with all values that are invalid, whatever the other settings are."""
    base = space.drawn(Random(seed))
    problems = [problem for setting in space.settings for problem in _check_values(setting, base, check)]
    if problems:
        raise ConfigError(problems)


def _check_values(setting: Setting, base: Candidate, check: Check) -> Iterator[Problem]:
    """What is wrong with values of `setting`, whatever the others are: unknown options, wrong types, out of range."""
    domain = setting.domain
    if isinstance(domain, Reals):
        values: list[Value] = [*domain.listed(), domain.low + 0.4371 * (domain.high - domain.low)]
    else:
        values = domain.listed() if isinstance(domain, Choice) else [*domain.listed()[:1], *domain.listed()[-1:]]
    protocol = check(base).protocol
    for value in values[:_LISTED]:
        checked = check(replace(base, params={**base.params, setting.name: value}))
        for path in protocol.keys() & checked.protocol.keys():  # a file of options can set anything
            if checked.protocol[path] != protocol[path]:
                rule = f"sets {path} to {checked.protocol[path]}, others have {protocol[path]}; trials must not differ"
                yield Problem(setting.name, f"{as_written(value)}: {rule} in it")
        for problem in checked.problems if checked.identity is None else ():
            if isinstance(domain, Reals) and problem.path == setting.name and "whole number" in problem.message:
                low, high = round(domain.low), round(domain.high)
                rule = f"got an interval of real numbers, must be whole ones: int(interval({low},{high}))"
                yield Problem(setting.name, rule)
            elif problem.path == setting.name and "does not fit" not in problem.message:
                message = problem.message if "got " in problem.message else f"{as_written(value)}: {problem.message}"
                yield Problem(setting.name, message)


def _misfits(best: Checked, constraints: Constraints) -> list[Problem]:
    amounts = {
        "max_params": (best.params, "parameters"),
        "max_macs": (best.macs, "MACs"),
        "min_receptive_field": (best.receptive_field, "pixels of receptive field"),
    }
    problems = []
    for name in best.excess:
        limit, (amount, unit) = getattr(constraints, name), amounts[name]
        size, comparison = ("largest", "less") if name.startswith("min") else ("smallest", "more")
        closest_one = f"the {size} found has {amount:,} {unit}, {abs(amount - limit):,} {comparison} than {limit:,}"
        problems.append(Problem(f"constraints.{name}", f"no network of the space fits: {closest_one}"))
    return problems
