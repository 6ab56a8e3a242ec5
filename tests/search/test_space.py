"""Spaces: read from Hydra's grammar, counted, described, and refused with every error at once."""

from random import Random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archsearch.compose.overrides import config_folder
from archsearch.config.schema import read
from archsearch.config.search import BlockLimits, SearchSettings, SpaceSettings, check_search, sampler_of
from archsearch.errors import ConfigError
from archsearch.search.domains import Choice, Domain, Integers, Reals, as_written
from archsearch.search.grammar import Setting, read_settings
from archsearch.search.space import Space, check_grid
from tests.support.searches import MIXED, searching


def domain_of(values: str) -> Domain:
    (setting,), _ = read_settings([f"optimizer.lr={values}"])
    return setting.domain


@pytest.mark.parametrize(
    ("values", "domain"),
    [
        ("interval(0,0.3)", Reals(0, 0.3)),
        ("tag(log, interval(0.01, 0.3))", Reals(0.01, 0.3, log=True)),
        ("int(interval(1,5))", Integers(1, 5)),
        ("tag(log, int(interval(1,100)))", Integers(1, 100, log=True)),
        ("range(1,10,3)", Integers(1, 7, 3)),
        ("range(9,1,-2)", Integers(3, 9, 2)),
        ("range(0,0.3,0.1)", Choice(("0.0", "0.1", "0.2"))),
        ("choice(8,12,8)", Choice(("8", "12"))),
        ("linear,gap", Choice(("linear", "gap"))),
    ],
)
def test_values_are_written_in_hydras_grammar(values: str, domain: Domain) -> None:
    assert domain_of(values) == domain


def test_every_error_of_a_space_comes_at_once() -> None:
    words = ("seed=1,2", "a=interval(3,1)", "b=tag(log,interval(0,1))", "c=range(1,1)", "sweep.workers=1,2", "d=(")
    with pytest.raises(ConfigError) as caught:
        read_settings([*words, "e=tag(log,choice(1,2))", "f=tag(far,interval(0,1))"], {"model.dropout": "0.1"})
    message = str(caught.value)
    assert "seed: cannot be searched: the best of several seeds is luck" in message
    assert "a: got interval(3,1), which must begin with its smaller end" in message
    assert "b: got tag(log,interval(0,1)), which has a logarithmic scale" in message
    assert "space.settings.model.dropout: got 0.1, must have several values" in message
    assert {problem.path for problem in caught.value.problems} >= {"c", "e", "f", "sweep.workers", "command line"}


def test_the_command_line_replaces_settings_of_the_file() -> None:
    in_file = {"model.dropout": "interval(0,1)", "model.width": "1,2"}
    settings, fixed = read_settings(["model.dropout=0.1", "model.width=interval(1,2)"], in_file)
    assert [setting.domain for setting in settings] == [Reals(1, 2)] and fixed == ("++model.dropout=0.1",)


def test_an_empty_space_is_refused() -> None:
    with pytest.raises(ConfigError, match="space: is empty"):
        Space(())


def test_a_space_says_its_size() -> None:
    def described(*words: str) -> str:
        settings, _ = read_settings(words)
        return Space(settings).describe()

    counted = described("model.dropout=range(0,0.4,0.1)", "model.width=range(1,9)", "a=choice(a,b,c,d,e,f)", "b=1,2,3")
    assert counted.startswith("space: 4 settings, 576 networks\n  model.dropout  0.0, 0.1, 0.2, 0.3\n")
    assert described("a=1,2").splitlines()[0] == "space: 1 setting, 2 networks"
    mixed = described(*MIXED)
    assert mixed.splitlines()[0] == "space: 3 settings, 1 continuous; 8 combinations of the others"
    assert "model.dropout                0 to 0.3, continuous" in mixed


def test_a_file_of_a_space_is_valid_and_fits() -> None:
    paths = sorted(path for path in (config_folder() / "space").glob("*.yaml") if path.stem != "none")
    assert paths
    for path in paths:
        space, problems = read(SpaceSettings, yaml.safe_load(path.read_text()), "space")
        assert space is not None, problems
        composed = searching(in_file=space.settings)
        assert composed.checks(composed.space.drawn(Random(1))).fits


def test_a_misspelt_setting_of_a_file_is_found() -> None:
    values = {"setings": {}, "blocks": {"chanels": [4, 8], "types": ["conv", "pol"]}}
    problems = "\n".join(map(str, read(SpaceSettings, values, "space")[1]))
    assert "space.setings: unknown setting (did you mean settings?)" in problems
    assert "space.blocks.chanels: unknown setting (did you mean channels?)" in problems
    assert "space.blocks.types: got 'pol', must be one of" in problems and "did you mean pool?" in problems


def test_misspelt_samplers_and_objectives_are_found_together() -> None:
    values = {"sampler": "evoluton", "objectives": ["val/acuracy"], "duplicates": "reed"}
    problems = "\n".join(map(str, read(SearchSettings, values, "search")[1]))
    assert "did you mean evolution?" in problems and "did you mean val/accuracy?" in problems
    assert "search.duplicates" in problems


@pytest.mark.parametrize(
    ("search", "rule"),
    [
        (SearchSettings(objectives=("params",)), "got params, which the smallest network wins untrained"),
        (SearchSettings(objectives=("val/accuracy", "val/loss")), "measure the same predictions"),
        (SearchSettings(objectives=("val/accuracy", "val/accuracy")), "val/accuracy is named twice"),
        (SearchSettings(space="blocks", sampler="tpe"), "search.sampler: got 'tpe', which cannot propose whole"),
        (SearchSettings(start="nothing"), "search.start: got 'nothing', but blocks do not vary"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(search: SearchSettings, rule: str) -> None:
    (problem,) = check_search(search, SpaceSettings())
    assert rule in str(problem)


def test_the_sampler_depends_on_the_space() -> None:
    assert sampler_of(SearchSettings(), SpaceSettings()) == "tpe"
    assert sampler_of(SearchSettings(space="blocks"), SpaceSettings()) == "evolution"
    assert sampler_of(SearchSettings(), SpaceSettings(blocks=BlockLimits())) == "evolution"
    assert not check_search(SearchSettings(objectives=("val/accuracy", "params", "macs")), SpaceSettings())


def test_a_grid_cannot_list_an_interval() -> None:
    settings, _ = read_settings(MIXED)
    (problem,) = check_grid(Space(settings))
    assert str(problem).startswith("model.dropout: got an interval, which a grid cannot list")


@pytest.mark.parametrize(
    "word", ["model.blocks.conv3.channels=8,16", "model.head.type=linear,gap", "model=session4,lenet5"]
)
def test_blocks_do_not_vary_twice(word: str) -> None:
    with pytest.raises(ConfigError, match="varies with search"):
        searching(word, blocks=BlockLimits())


domains = st.one_of(
    st.lists(st.text("abc", min_size=1), min_size=2, unique=True).map(lambda values: Choice(tuple(values))),
    st.builds(
        lambda low, count, step: Integers(low, low + count * step, step),
        st.integers(1, 99), st.integers(1, 200), st.integers(1, 9),
    ),
    st.builds(lambda low, size: Integers(low, low + size, log=True), st.integers(1, 99), st.integers(1, 999)),
    st.builds(
        lambda low, size, log: Reals(low, low + size, log), st.floats(1e-4, 10), st.floats(1e-3, 10), st.booleans()
    ),
)  # fmt: skip


@given(domains, st.integers(0, 2**20))
def test_values_stay_within_their_domain_and_change_when_they_should(domain: Domain, seed: int) -> None:
    random = Random(seed)
    value = domain.drawn(random)
    distribution = domain.distribution()
    others = [domain.changed(value, random), *domain.neighbours(value, random)]
    for other in (value, *others):
        assert distribution._contains(distribution.to_internal_repr(other))
        assert (setting := Setting("a", "++a", domain)).override(other) == f"++a={as_written(other)}" and setting
    assert value not in others
