"""The command line of a report."""

import pytest

from archsearch.errors import ConfigError
from archsearch.report.options import HELP, parse_options


def test_lists_of_names_may_be_quoted_or_in_brackets() -> None:
    options, _ = parse_options(["sweep=a,last", "compare=[x=1 y=2,'b, c']"])
    assert options.sweep == ("a", "last") and options.compare == ("x=1 y=2", "b, c")


def test_a_filter_may_be_quoted() -> None:
    options, _ = parse_options(["filter=\"params.model = 'a'\""])
    assert options.filter == "params.model = 'a'"


def test_overrides_of_the_configuration_are_returned_apart() -> None:
    _, overrides = parse_options(["data.root=/x", "cost=macs", "--config-dir", "there"])
    assert overrides == ["data.root=/x", "--config-dir", "there"]


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("sweeep=a", "sweeep: unknown setting (did you mean sweep?)"),
        ("compare=A", "compare: got 'A', must be two variants"),
        ("compare=A,B,C", "compare: got 3 variants, must be two: compare=A,B"),
        ("cost=flops", "must be one of params, macs"),
        ("last", "last: must have the form setting=value"),
        ("--foo", "--foo: unknown flag; see --help"),
        ("--hlep", "--hlep: unknown flag (did you mean --help?)"),
        ("--config-dir", "--config-dir: must be followed by a folder"),
        ("html=", "html: must not be empty"),
    ],
)
def test_an_invalid_argument_is_refused_with_its_rule(argument: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_options([argument])
    assert problem in str(caught.value)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_options(["sweeep=a", "compare=A", "cost=flops"])
    assert len(caught.value.problems) == 3


def test_the_help_fits_80_columns() -> None:
    assert max(map(len, HELP.splitlines())) <= 80
