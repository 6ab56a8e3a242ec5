"""What is rejected before a run starts."""

from pathlib import Path

import pytest

from archsearch.errors import ArchsearchError, ConfigError, DataError, TrackingError
from archsearch.runs.prepare import prepare
from tests.support.requests import QUICK, ask


@pytest.mark.parametrize(
    ("override", "error"),
    [
        ("model.width=-1", ConfigError),
        ("data.root=nowhere", DataError),
        ("tracking.uri=http://127.0.0.1:9", TrackingError),
    ],
)
def test_a_run_that_cannot_start_leaves_nothing(override: str, error: type[ArchsearchError], workspace: Path) -> None:
    data = "data=kmnist" if error is DataError else "data=digits"
    with pytest.raises(error):
        prepare(ask(*QUICK, data, override))
    assert not list(workspace.iterdir())


@pytest.mark.usefixtures("workspace")
def test_a_password_on_the_command_line_is_rejected_and_not_shown() -> None:
    with pytest.raises(ConfigError, match=r"me:\*\*\*@127.0.0.1.*use MLFLOW_TRACKING_URI instead"):
        prepare(ask(*QUICK, "tracking.uri='http://me:secret@127.0.0.1:9'"))
