"""A fuzzer: a thousand malformed commands, each of which must end with status 0 or 2 and without a traceback."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archsearch.compose.completion import completions
from tests.support.command_line import run_command

pytestmark = pytest.mark.slow

GROUPS = ("model", "data", "augment", "optimizer", "scheduler", "averaging", "trainer", "tracking", "experiment")
SECTIONS = (*GROUPS, "constraints", "sweep", "ui", "init", "model.head", "model.blocks", "model.blocks.conv1", "hydra")


def settings_of_sections() -> list[str]:
    """Every setting that can be completed."""
    lines = [f"archsearch {section}." for section in SECTIONS]
    names = {name.rstrip("=.") for line in lines for name in completions(line) if name.endswith("=")}
    return sorted(names)


SETTINGS = st.deferred(lambda: st.sampled_from(settings_of_sections()))  # composes, so not for those who only collect

VALUES = (
    *(
        "0",
        "-1",
        "1",
        "3",
        "0.5",
        "1e308",
        "-1e308",
        "1e-308",
        "1e400",
        "nan",
        ".inf",
        "-.inf",
        "999999999999999999999",
    ),
    *(
        "null",
        "true",
        "false",
        "''",
        "' '",
        "x",
        "none",
        "auto",
        "last",
        "'a b'",
        "ä",
        "😀",
        "../..",
        "/dev/null",
        "a=b",
    ),
    *(
        "[]",
        "[1,2]",
        "[[1],[2]]",
        "{}",
        "{a:1}",
        "{type:conv}",
        "[null]",
        "${seed}",
        "${nope}",
        "${oc.env:NOPE}",
        "???",
    ),
    *(
        "range(0,1,0)",
        "range(5,1)",
        "range(3)",
        "choice(1,2)",
        "choice()",
        "glob(nothing*)",
        "interval(0,1)",
        "1,2",
        "1,",
    ),
    *(
        "linear,[gap]",
        "sort(3,1)",
        "shuffle(1,2)",
        "tag(a,1)",
        "int(x)",
        "str([1])",
        "[" * 60,
        "]" * 5,
        "(",
        "'",
        '"',
        "\\",
    ),
)
PREFIXES = ("", "+", "++", "~")
FLAGS: tuple[list[str], ...] = ([], ["-m"], ["--config-dir", "/nowhere"], ["-c", "job"], ["--info", "config"])


def override(prefix: str, setting: str, value: str | None) -> str:
    return f"{prefix}{setting}" if value is None else f"{prefix}{setting}={value}"


OVERRIDES = st.builds(
    override,
    st.sampled_from(PREFIXES),
    st.one_of(SETTINGS, st.sampled_from(SECTIONS), st.text("abc._/@=-", min_size=1, max_size=8)),
    st.one_of(st.sampled_from(VALUES), st.none(), st.text(max_size=6)),
)
YAMLS = (
    *(
        "",
        "null",
        "3",
        "[]",
        "blocks:",
        "blocks: {}",
        "blocks: [1]",
        "blocks: {a: }",
        "blocks: {a: {channels: }}",
        "\tblocks: 1",
    ),
    *(
        "blocks: {a: {channels: 3}",
        "a: 1\na: 2",
        "---\na: 1\n---\nb: 2",
        "blocks: &x {a: *x}",
        "head: gap",
        "on: 1\nno: 2",
    ),
    *(
        "blocks: {on: {channels: 3}}",
        "blocks: {head: {channels: 3}}",
        "blocks: {'': {channels: 3}}",
        "blocks: {1: {channels: 3}}",
    ),
    *(
        "model: {blocks: {a: {channels: 3}}}",
        "defaults: [nope]",
        "defaults: 3",
        "# @package x\na: 1",
        "!!python/object:os.system {}",
    ),
    *("blocks: {a: {channels: 3}}\nhead: {type: [gap]}", "blocks: {a: {channels: ${b}}}", "channels: 3", "width: x"),
)


def check(capture: pytest.CaptureFixture[str], arguments: Sequence[str]) -> None:
    done = run_command(capture, *arguments, module="archsearch.check")
    assert done.returncode in (0, 2), (arguments, done.stderr)
    assert "Traceback" not in done.stderr, (arguments, done.stderr)


@pytest.mark.timeout(1200)
@settings(
    max_examples=1000, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(overrides=st.lists(OVERRIDES, min_size=1, max_size=3), flags=st.sampled_from(FLAGS))
def test_commands_never_end_in_a_traceback(
    workspace: Path, capfd: pytest.CaptureFixture[str], overrides: list[str], flags: list[str]
) -> None:
    check(capfd, [*flags, *overrides])
    assert not list(workspace.iterdir())


@pytest.mark.parametrize("text", YAMLS)
def test_models_that_are_no_models_never_end_in_a_traceback(
    workspace: Path, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    folder = workspace / "conf" / "model"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(text)
    check(capfd, ["model=mine"])
