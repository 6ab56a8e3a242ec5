"""Scores, epochs, and the best of them."""

from archsearch.training.metrics import EpochMetrics, Score, best_epoch


def epoch(number: int, validation: int | None = None, test: int | None = None) -> EpochMetrics:
    """An epoch with so many of 100 images correct."""

    def score(correct: int | None) -> Score | None:
        return None if correct is None else Score(0.1, correct, 100)

    train = Score(0.5, 50, 100)
    return EpochMetrics(number, train, score(validation), score(test), lr=0.01, seconds=2.0, timestamp=0)


def test_the_best_epoch_has_the_highest_validation_accuracy_and_the_earliest_wins_ties() -> None:
    best = best_epoch([epoch(1, 97), epoch(2, 99), epoch(3, 99), epoch(4, 98)])
    assert best is not None and best.epoch == 2


def test_without_validation_the_best_epoch_is_chosen_on_the_test_set() -> None:
    best = best_epoch([epoch(1, test=97), epoch(2, test=99)])
    assert best is not None and best.epoch == 2


def test_without_any_selection_score_there_is_no_best_epoch() -> None:
    assert best_epoch([epoch(1)]) is None


def test_metrics_survive_the_way_through_plain_values() -> None:
    metrics = epoch(3, 97)
    assert EpochMetrics.from_dict(metrics.as_dict()) == metrics


def test_numbers_are_in_percent_and_leave_out_missing_scores() -> None:
    assert epoch(1, 97).numbers() == {
        "val/accuracy": 97, "val/loss": 0.1, "train/accuracy": 50, "train/loss": 0.5, "lr": 0.01
    }  # fmt: skip


def test_images_per_second_are_training_images() -> None:
    assert epoch(1).images_per_second == 50
