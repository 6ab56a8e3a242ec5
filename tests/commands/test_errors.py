"""Errors that a person can correct: one message that names the setting, status 2, nothing created."""

import io
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from archsearch.cli import exit_status
from archsearch.errors import ConfigError, Problem
from tests.support.command_line import Command


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (("trainer.epocs=3", "model=sesion4"), ("trainer.epocs: unknown setting (did you mean epochs?)", "session4?")),
        (("trainer.epochs=many",), ("trainer.epochs: got 'many', must be a whole number",)),
        (("model.blocks.conv2.kernel_size=40",), ("model.blocks.conv2: kernel_size 40 does not fit its 26x26 input",)),
        (("data=mnist", "data.root=/nowhere/at/all"), ("data=digits", "train-images-idx3-ubyte", "/nowhere/at/all")),
        (("trainer.device=cuda:77", "data=digits"), ("trainer.device: got 'cuda:77'",)),
        (("resume=nothing",), ("resume=nothing: no run with this id",)),
        (("model.dropout=0,1",), ("model.dropout: got 0,1, which are several values; add -m",)),
        (("tracking.uri=sqlite:////proc/x/mlflow.db", "data=digits"), ("/proc/x",)),
        (("hydra.run.dir=/proc/nowhere", "data=digits", "tracking=none"), ("/proc/nowhere", "set hydra.run.dir")),
    ],
)
def test_a_wrong_command_gets_one_message_and_leaves_nothing(
    command: Command, workspace: Path, arguments: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and done.stderr.startswith("archsearch:")
    for message in messages:
        assert message in done.stderr
    assert not list(workspace.glob("**/result.json")) and not list(workspace.glob("**/*.db"))


def test_a_misspelt_model_of_ones_own_is_suggested(command: Command, workspace: Path) -> None:
    folder = workspace / "conf" / "model"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("blocks: {only: {channels: 3}}\nhead: {type: gap}\n")
    assert "did you mean mine?" in command("model=mien", module="archsearch.check").stderr


@pytest.mark.parametrize(
    ("guess", "place"),
    [
        ("epochs=3", "trainer.epochs"),
        ("lr=0.1", "optimizer.lr"),
        ("dropout=0.1", "model.dropout"),
        ("head=gap", "model.head.type"),
        ("batch_size=64", "trainer.batch_size"),
        ("kernel_size=5", "model.kernel_size"),
        ("epoch=3", "trainer.epochs"),
    ],
)
def test_a_setting_without_its_group_gets_the_group(command: Command, guess: str, place: str) -> None:
    done = command(guess, module="archsearch.check")
    assert f"{guess.split('=', maxsplit=1)[0]}: unknown setting (did you mean {place}?)" in done.stderr


def test_a_name_like_no_setting_gets_no_suggestion(command: Command) -> None:
    assert command("foo=1", module="archsearch.check").stderr == "archsearch: foo: unknown setting\n"


@pytest.mark.parametrize(
    ("argument", "advice"),
    [
        ("model.head=gap", "use model.head.type=gap"),
        ("model.blocks.conv3=8", "use model.blocks.conv3.channels=8"),
        ("init=dirac", "use init.convs=dirac"),
        ("model.head.type=GAP", "(did you mean gap?)"),
    ],
)
def test_a_value_in_place_of_settings_gets_the_setting(command: Command, argument: str, advice: str) -> None:
    done = command(argument, module="archsearch.check")
    assert done.returncode == 2 and done.stderr.endswith(f"{advice}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epochs=3",), "unknown flag --epochs; settings are written without dashes: trainer.epochs=3"),
        (("--model", "session4"), "unknown flag --model; settings are written without dashes: model=session4"),
        (("--lr", "0.1"), "unknown flag --lr; settings are written without dashes: optimizer.lr=0.1"),
        (("-lr", "0.1"), "unknown flag -lr; settings are written without dashes: optimizer.lr=0.1"),
        (("--batch-size", "4", "seed=2"), "settings are written without dashes: trainer.batch_size=4"),
        (("-v",), "unknown flag -v; see --help"),
        (("--multrun",), "unknown flag --multrun (did you mean --multirun?); see --help"),
        (("--cfg", "jobs"), "--cfg: invalid choice: 'jobs'"),
    ],
)
def test_a_flag_that_does_not_exist_gets_one_message(
    command: Command, arguments: tuple[str, ...], message: str
) -> None:
    done = command(*arguments)
    assert done.returncode == 2 and message in done.stderr
    assert "usage:" not in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "output"),
    [(("-c", "job"), "batch_size: 128"), (("--info", "defaults-tree"), "session4"), (("--cf", "job"), "seed: 1")],
)
def test_hydras_flags_work(
    command: Command, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], output: str
) -> None:
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # which --cfg sets, as if a run had begun
    done = command(*flags)
    assert done.returncode == 0 and output in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        (("model.dropout==0.1",), "model.dropout"),
        (("model.dropout = 0.1",), "model.dropout"),
        (("model.dropout", "=", "0.1"), "model.dropout"),
        (("model.dropout=", "0.1"), "model.dropout"),
        (("model.dropout", "=0.1"), "model.dropout"),
        (("=3",), "=3"),
        (("model dropout=3",), "model dropout"),
    ],
)
def test_spaces_around_the_equals_sign_are_named(command: Command, words: tuple[str, ...], setting: str) -> None:
    rule = "must have the form setting=value, without spaces around ="
    assert command(*words, module="archsearch.check").stderr == f"archsearch: {setting}: {rule}\n"


def test_words_of_the_wrong_form_and_other_errors_come_together(command: Command) -> None:
    done = command("-m", "model.dropout=0,0.1", "trainr.epochs=3", "nonsense", module="archsearch.check")
    assert done.stderr.splitlines() == [
        "archsearch:",
        "nonsense: must have the form setting=value",
        "trainr: unknown setting (did you mean trainer?)",
    ]


@pytest.mark.parametrize("word", ["+optimizer=adam", "++optimizer=adam", "+experiment=fast_session4"])
def test_an_option_is_chosen_without_plus(command: Command, word: str) -> None:
    done = command(word, "trainr.epochs=3", module="archsearch.check")
    group = word.lstrip("+").partition("=")[0]
    assert done.stderr.splitlines() == [
        "archsearch:",
        f"{group}: got {word}, must be written without +, as in {word.lstrip('+')}",
        "trainr: unknown setting (did you mean trainer?)",
    ]


@pytest.mark.parametrize("flags", [(), ("-m",)])
def test_what_python_refuses_to_hydra_is_no_traceback(
    command: Command, flags: tuple[str, ...], workspace: Path
) -> None:
    done = command(*flags, "augment=[crop]", "hydra.verbose=[1]", "data=digits", "tracking=none")
    assert (done.returncode, done.stderr) == (2, "archsearch: hydra.verbose: A logger name must be a string\n")
    assert not list(workspace.iterdir())


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "wraps"), [(Terminal(), True), (io.StringIO(), False)], ids=["terminal", "pipe"])
def test_a_message_is_wrapped_between_words_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, wraps: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stderr", stream)
    value = "/a/long/path" * 10

    def fail() -> None:
        raise ConfigError([Problem("data.root", f"got {value}, must be the folder of the data sets on this machine")])

    assert exit_status(fail, []) == 2
    lines = stream.getvalue().splitlines()
    assert value in stream.getvalue() and (len(lines) > 1) == wraps
    assert all(len(line) <= 40 or value in line for line in lines)


@pytest.mark.parametrize("word", ["model=[session4]", "model=[session4,session4_gap]", "optimizer=[sgd,adam]"])
@pytest.mark.parametrize("flags", [(), ("-m",)])
def test_a_list_of_options_is_refused(command: Command, word: str, flags: tuple[str, ...], workspace: Path) -> None:
    done = command(*flags, word)
    setting, _, value = word.partition("=")
    assert done.returncode == 2
    assert done.stderr.startswith(f"archsearch: {setting}: got {value}, must be one option, without brackets: ")
    assert not list(workspace.iterdir())
