"""Files of options that Hydra cannot read, or that name options which do not exist."""

from pathlib import Path

import pytest

from archsearch.compose.option_files import group_options
from tests.support.command_line import Command

MODELS = ", ".join(sorted([*group_options()["model"], "mine"]))
GROUPS = ", ".join(f"/{group}" for group in group_options())


@pytest.fixture
def conf(workspace: Path) -> Path:
    """A folder with models and experiments of one's own."""
    for group in ("model", "experiment"):
        (workspace / "conf" / group).mkdir(parents=True)
    return workspace / "conf"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "blocks:\n\tconv1: {channels: 4}",
            "line 2: found character '\\t' that cannot start any token; indent with spaces",
        ),
        (
            "blocks: {conv1: {channels: 4}\nhead: {type: gap}",
            "line 2: expected ',' or '}', but got '<scalar>' (while parsing a flow mapping that begins in line 1)",
        ),
        (
            "blocks:\n  c: {channels: 4}\n  c: {channels: 5}",
            "line 3: found duplicate key c (while constructing a mapping that begins in line 2)",
        ),
        (
            "blocks: {}\n---\nhead: {}",
            "line 2: expected a single document in the stream but found another document; leave out the --- between"
            " them",
        ),
        (
            "blocks:\n  b: {channels: ${..a.channels}}",
            "line 2: expected ',' or '}', but got '{' (while parsing a flow mapping that begins in line 2);"
            ' an interpolation between braces needs quotes, as in "${..conv1.channels}"',
        ),
        ("defaults: session4", "`defaults` must be a list, with its entries after `-` or between [ and ]"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_in_one_line(command: Command, conf: Path, text: str, message: str) -> None:
    (conf / "model" / "mine.yaml").write_text(text)
    done = command("model=mine", module="archsearch.check")
    separator = ": " if message.startswith("`") else ", "
    assert (done.returncode, done.stderr) == (2, f"archsearch: model: conf/model/mine.yaml{separator}{message}\n")


def test_a_broken_file_of_another_folder_hides_no_other_error(command: Command, conf: Path) -> None:
    (conf.rename("elsewhere") / "model" / "mine.yaml").write_text("blocks: [1\nhead: {type: gap}")
    done = command("model=mine", "trainr.epochs=3", "--config-dir", "elsewhere", module="archsearch.check")
    assert done.stderr.splitlines()[1:] == [
        "model: elsewhere/model/mine.yaml, line 2: expected ',' or ']', but got ':' (while parsing a flow sequence that"
        " begins in line 1)",
        "trainr: unknown setting (did you mean trainer?)",
    ]


def test_a_file_of_another_folder_has_that_folders_name(command: Command, conf: Path) -> None:
    (conf.rename("elsewhere") / "model" / "mine.yaml").write_text("defaults: session4")
    done = command("--config-dir", "elsewhere", "model=mine", module="archsearch.check")
    assert done.stderr.startswith("archsearch: model: elsewhere/model/mine.yaml: `defaults` must be a list")


@pytest.mark.parametrize(
    ("words", "defaults", "got", "meant"),
    [
        (("model=mine",), "[sesion4]", "sesion4", " (did you mean session4?)"),
        (("model=mine",), "[sesion4, _self_]", "sesion4", " (did you mean session4?)"),
        (("model=mine",), "[/model/sesion4]", "sesion4", " (did you mean session4?)"),
        (("model=mine",), "[model/session4]", "model/session4", " (did you mean session4?)"),
        (("model=mine",), "[{session4: x}]", "session4/x", ""),
        (("-m", "model=mine", "seed=1,2"), "[sesion4]", "sesion4", " (did you mean session4?)"),
        (("experiment=theirs",), "[sesion4]", "sesion4", " (did you mean session4?)"),
    ],
)
def test_a_misspelt_option_in_a_files_defaults_is_named(
    command: Command, conf: Path, words: tuple[str, ...], defaults: str, got: str, meant: str
) -> None:
    (conf / "model" / "mine.yaml").write_text(f"defaults: {defaults}\n")
    (conf / "experiment" / "theirs.yaml").write_text("# @package _global_\ndefaults: [override /model: mine]\n")
    done = command(*words, module="archsearch.check")
    where = f"in the `defaults` of {Path('conf', 'model', 'mine.yaml')}"
    assert done.returncode == 2
    assert done.stderr.startswith(f"archsearch: model: got '{got}' {where}, must be one of {MODELS}{meant}\n")


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        (
            "[override /model: sesion4]",
            f"model: got 'sesion4' in the `defaults` of F, must be one of {MODELS} (did you",
        ),
        ("[/model: sesion4]", f"model: got 'sesion4' in the `defaults` of F, must be one of {MODELS} (did you"),
        (
            "[override /modle: session4]",
            f"experiment: got 'override modle' in the `defaults` of F, must be one of {GROUPS} (did you mean /model?)",
        ),
    ],
)
def test_an_experiments_defaults_are_named(command: Command, conf: Path, defaults: str, message: str) -> None:
    file = conf / "experiment" / "theirs.yaml"
    file.write_text(f"# @package _global_\ndefaults: {defaults}\n")
    (conf / "model" / "mine.yaml").touch()
    done = command("experiment=theirs", module="archsearch.check")
    assert done.stderr.startswith(f"archsearch: {message.replace(' F,', ' conf/experiment/theirs.yaml,')}")


def test_a_file_with_another_ending_is_named(command: Command, conf: Path) -> None:
    (conf / "model" / "foo.yml").touch()
    (conf / "model" / "mine.yaml").write_text("defaults: [foo]\n")
    rule = "but conf/model/foo.yml is not read; rename it to foo.yaml"
    done = command("model=foo", "trainer.epocs=3", module="archsearch.check")
    assert f"\nmodel: got 'foo', {rule}\n" in done.stderr and "trainer.epocs: unknown setting" in done.stderr
    done = command("model=mine", module="archsearch.check")
    assert done.stderr == f"archsearch: model: got 'foo' in the `defaults` of conf/model/mine.yaml, {rule}\n"


@pytest.mark.parametrize("word", ["model=mine", "model=theirs", "experiment=theirs"])
def test_a_file_that_is_not_utf_8_is_named(command: Command, conf: Path, word: str) -> None:
    (conf / "model" / "mine.yaml").write_bytes("blocks:\n  # café\n  c: {channels: 4}\n".encode("latin-1"))
    (conf / "model" / "theirs.yaml").write_text("defaults: [mine]\n")
    (conf / "experiment" / "theirs.yaml").write_text("# @package _global_\ndefaults: [override /model: mine]\n")
    done = command(word, module="archsearch.check")
    rule = "line 2, contains characters that are not UTF-8; save the file as UTF-8"
    assert (done.returncode, done.stderr) == (2, f"archsearch: model: conf/model/mine.yaml, {rule}\n")


def test_an_unknown_option_of_hydras_own_groups_has_no_file(command: Command) -> None:
    done = command("hydra/launcher=foo", module="archsearch.check")
    assert done.returncode == 2 and "defaults" not in done.stderr and "foo" in done.stderr
