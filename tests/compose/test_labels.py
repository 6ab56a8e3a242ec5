"""Short names of settings."""

from archsearch.compose.labels import labels


def test_a_label_is_the_end_of_a_settings_path() -> None:
    settings = ["model.dropout", "model.blocks.conv3.channels", "optimizer.lr"]
    assert labels(settings) == ["dropout", "conv3.channels", "lr"]


def test_labels_that_would_be_equal_stay_whole() -> None:
    assert labels(["model.dropout", "data.dropout"]) == ["model.dropout", "data.dropout"]
