"""A fingerprint depends on exactly what influences a result."""

from collections.abc import Callable, Iterator

import pytest

from archsearch.compose.overrides import complete_arguments
from archsearch.compose.validate import validate
from archsearch.sweep.composer import Composer
from archsearch.sweep.fingerprint import fingerprint
from tests.support.sweeps import composing

WITHOUT_INFLUENCE = (
    *("model.dropout=0.1", "model.width=1", "model.blocks.conv3.dropout=0.1"),  # the defaults
    *("tracking=none", "data.root=/elsewhere", "constraints.max_params=20000", "sweep.workers=3"),
    *("trainer.eval_batch_size=10", "trainer.threads=1"),
)
WITH_INFLUENCE = (
    *("model.dropout=0.2", "model.head.type=gap", "model.blocks.conv3.order=[conv,norm,activation,dropout]"),
    *("seed=2", "data=digits", "data.split_seed=1", "data.validation=500", "augment=affine"),
    *("optimizer.lr=0.5", "optimizer=adam", "scheduler=cosine", "averaging=ema", "init.convs=dirac"),
    *("trainer.epochs=3", "trainer.batch_size=64", "trainer.precision=bfloat16"),
)


PrintOf = Callable[..., str]


@pytest.fixture(scope="module")
def print_of() -> Iterator[PrintOf]:
    """The fingerprint of a run with these overrides."""
    with composing() as (loader, master):
        composer = Composer(loader, master)

        def print_of(*words: str) -> str:
            words = words if any("precision" in word for word in words) else (*words, "trainer.precision=float32")
            result = validate(composer.request(complete_arguments(words), 0).config)
            assert result.spec is not None and result.settings is not None
            return fingerprint(result.spec, result.settings, result.dataset)

        yield print_of


@pytest.mark.parametrize("word", WITHOUT_INFLUENCE)
def test_settings_without_influence_do_not_change_it(print_of: PrintOf, word: str) -> None:
    assert print_of(word) == print_of()


def test_settings_with_influence_change_it(print_of: PrintOf) -> None:
    assert len({print_of(), *map(print_of, WITH_INFLUENCE)}) == len(WITH_INFLUENCE) + 1


def test_it_stays_the_same_from_version_to_version(print_of: PrintOf) -> None:
    assert print_of() == "684f7693bc14db93"
    assert print_of("averaging=ema", "init.convs=dirac", "data=digits") == "3b4b128f09d1b9d1"
