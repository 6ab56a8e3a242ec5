"""`archsearch.train(network=...)`: a network of one's own has all that a run has."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import archsearch
from archsearch.errors import ConfigError, ResumeError
from archsearch.model.custom import describe_network
from tests.support.command_line import Command
from tests.support.networks import Net, network
from tests.support.requests import session4
from tests.support.runs import without_times

pytestmark = pytest.mark.e2e  # whole runs, in this process

DATA = (
    "data=digits", "trainer.epochs=2", "trainer.batch_size=64", "trainer.threads=1", "tracking=none",
    "tracking.log_figures=false",
)  # fmt: skip


def refusal(network: Any, *settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        archsearch.train(*DATA, *settings, network=network)
    return str(caught.value)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> archsearch.Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("custom"))
        return archsearch.train(*DATA, network=network())


def test_it_is_trained_and_tested(run: archsearch.Run) -> None:
    assert run.state == "FINISHED" and len(run.metrics) == 2
    assert run.metrics["train/loss"].iloc[1] < run.metrics["train/loss"].iloc[0]
    assert len(run.predictions) == 297


def test_it_is_marked_as_not_from_a_model(run: archsearch.Run) -> None:
    assert run.result["choices"]["model"] == "custom"
    assert run.name.startswith("Net data=digits")
    assert run.config["model"]["network"] == "Net"


class Hidden(nn.Module):
    """What it computes does not show in its representation."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate, self.linear = rate, nn.Linear(784, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(functional.dropout(images.flatten(1), self.rate, self.training))
        return logits


class Other(Hidden):
    """Another computation with the same layers."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * 2


def test_networks_that_compute_something_else_have_another_digest() -> None:
    digests = [describe_network(module)["digest"] for module in (Hidden(0.1), Hidden(0.1), Hidden(0.2), Other(0.1))]
    assert digests[0] == digests[1] and len(set(digests)) == 3


def test_its_parameters_and_macs_are_counted(run: archsearch.Run) -> None:
    assert run.result["params"] == sum(parameter.numel() for parameter in Net().parameters()) == 235
    stem, block, linear = 4 * 8 * 8 * 25, 2 * (4 * 8 * 8 * 2 * 9), 40
    assert run.result["macs"] == stem + block + linear


def test_its_layers_are_listed_as_they_were_called(run: archsearch.Run) -> None:
    lines = run.layers.splitlines()
    kinds = [line.split()[0].partition("-")[0] for line in lines if "-" in line.split()[0] and "[-1" in line]
    residual = ["Conv2d", "BatchNorm2d"]
    assert kinds == ["Conv2d", *residual, *residual, "Dropout", "Linear", "Net"]
    assert [line.split()[-1] for line in lines if "Conv2d-" in line] == ["stem", "block.conv", "block.conv"]
    assert "Total params: 235" in run.layers and "Receptive field: unknown" in run.layers


def test_the_network_that_was_given_is_not_changed(run: archsearch.Run, workspace: Path) -> None:
    del run, workspace
    given = network()
    before = {name: value.clone() for name, value in given.state_dict().items()}
    archsearch.train(*DATA, "trainer.epochs=1", network=given)
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())
    assert given.training


def test_its_run_returns_the_trained_network(run: archsearch.Run) -> None:
    trained = run.network()
    assert isinstance(trained, Net) and not trained.training
    weights = torch.load(run.folder / "checkpoint.pt", weights_only=True)["trainer"]["network"]
    assert all(torch.equal(value, weights[name]) for name, value in trained.state_dict().items())


def test_a_loaded_run_needs_a_network_for_the_weights(run: archsearch.Run) -> None:
    loaded = archsearch.load(run.folder)
    assert isinstance(loaded, archsearch.Run)
    with pytest.raises(ResumeError, match=r"the run trained a network of its own \(Net\): pass one"):
        loaded.network()
    with pytest.raises(ResumeError, match="the checkpoint's weights do not fit this network"):
        loaded.network(Net(channels=6))
    trained = loaded.network(Net())
    assert torch.equal(trained.state_dict()["stem.weight"], run.network().state_dict()["stem.weight"])


@pytest.mark.usefixtures("workspace")
def test_a_network_that_is_built_from_a_model_trains_like_that_model() -> None:
    settings = (*DATA, "trainer.epochs=1", "trainer.precision=float32")
    torch.manual_seed(1)
    built = archsearch.build(session4(), (1, 28, 28), 10)
    expected = archsearch.train(*settings, "model=session4").result
    actual = archsearch.train(*settings, network=built).result
    assert without_times(actual) == without_times(expected)
    assert actual["macs"] == expected["macs"]


class Backwards(nn.Sequential):
    """A Sequential by class, but not by what it computes."""

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = nn.Sequential(*self)(images.flip(-1))
        return features * 2


@pytest.mark.usefixtures("workspace")
def test_a_subclass_of_sequential_computes_what_its_forward_says() -> None:
    torch.manual_seed(1)
    inner = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)]
    run = archsearch.train(*DATA, "trainer.epochs=1", network=Backwards(*inner))
    example = torch.rand(5, 1, 28, 28)
    trained = run.network()
    assert isinstance(trained, Backwards)
    by_hand = nn.Sequential(*trained)(example.flip(-1)) * 2
    assert torch.allclose(trained(example), by_hand)
    plain = archsearch.train(*DATA, "trainer.epochs=1", network=nn.Sequential(*inner))
    assert run.metrics["train/loss"].iloc[0] != plain.metrics["train/loss"].iloc[0]


@pytest.mark.usefixtures("workspace")
def test_it_is_resumed_with_the_same_network(run: archsearch.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("archsearch.runs.train.epoch_line", interrupt)
        archsearch.train(*DATA, network=network())
    interrupted = archsearch.load()
    assert isinstance(interrupted, archsearch.Run)
    with pytest.raises(ResumeError, match=r"network of its own, Net; continue it from Python .* network=Net\(\.\.\.\)"):
        archsearch.train(f"resume={interrupted.id}")
    with pytest.raises(ResumeError, match=r"got network=Net \(\w+\), but the run in .* trained another network, Net"):
        archsearch.train(f"resume={interrupted.id}", network=network(dropout=0.3))
    resumed = archsearch.train(f"resume={interrupted.id}", network=network())
    assert without_times(resumed.result) == without_times(run.result)


def test_the_command_line_says_that_it_cannot_resume_it(
    run: archsearch.Run, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.folder.parents[2])
    result = run.result
    try:
        (run.folder / "result.json").write_text((run.folder / "result.json").read_text().replace("FINISHED", "KILLED"))
        done = command(f"resume={run.id}")
    finally:
        (run.folder / "result.json").write_text((run.folder / "result.json").read_text().replace("KILLED", "FINISHED"))
    assert done.returncode == 2 and "trained a network of its own, Net" in done.stderr
    assert run.result == result


@pytest.mark.usefixtures("workspace")
def test_a_run_of_a_model_is_not_resumed_with_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("archsearch.runs.train.epoch_line", interrupt)
        archsearch.train(*DATA, "model=session5_step1")
    with pytest.raises(ResumeError, match="trained a model; leave out network"):
        archsearch.train("resume=last", network=network())


@pytest.mark.usefixtures("workspace")
def test_an_interrupted_run_says_how_to_resume_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("archsearch.runs.train.epoch_line", interrupt)
    with pytest.raises(KeyboardInterrupt):
        archsearch.train(*DATA, network=network())
    run = archsearch.load()
    assert isinstance(run, archsearch.Run)
    assert f"Resume with: archsearch.train('resume={run.id}', network=...)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("workspace")
def test_it_is_compared_with_models(run: archsearch.Run) -> None:
    model = archsearch.train(*DATA, "model=session5_step1", "model.width=0.4")
    report = archsearch.make_report(f"run={run.folder},{model.folder}", "tracking.uri=sqlite:///unused.db")
    assert set(report.leaderboard["variant"]) == {"Net", "model=session5_step1"}
    assert set(report.leaderboard["params"]) == {235, 1_042}
    assert report.path.is_file() and "Net" in report.path.read_text()
    assert "architectures are not compared: not both are from models" in report.text
    commands = report.leaderboard.set_index("variant")["command"]
    assert commands.isna()["Net"] and commands["model=session5_step1"].startswith("python -m archsearch data=")


class Tuple(Net):
    def forward(self, images: Tensor) -> Any:
        logits = super().forward(images)
        return (logits, logits) if self.training else logits


class View(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 5, stride=4)
        self.linear = nn.Linear(4 * 36, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.conv(images).view(-1, 4 * 36))
        return logits


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Net, "network: got Net, must be a torch.nn.Module; call it to make an instance"),
        (3, "network: got int, must be a torch.nn.Module"),
        (nn.Flatten(), "network: has no parameters to train"),
        (nn.LazyLinear(10), "network: has lazy layers without weights"),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 5)), "network: returns (2, 5) in training mode, must return logits"
         " of shape (2, 10) for 2 images: one for each class of the data set"),
        (nn.Linear(28, 10), "network: returns (2, 1, 28, 10) in training mode, must return logits"),
        (nn.Sequential(nn.Flatten(), nn.Linear(100, 10)), "network: fails on images of 1x28x28: RuntimeError: mat1"),
        (Tuple(), "network: returns a tuple in training mode, must return logits"),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 10, device="meta")), "network: cannot be moved to the CPU"),
        (View(), "use flatten or reshape instead of view, or set trainer.channels_last=false"),
    ],
)  # fmt: skip
def test_a_network_that_does_not_fit_is_refused_before_training(wrong: Any, message: str, workspace: Path) -> None:
    assert message in refusal(wrong)
    assert not list(workspace.iterdir())


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def test_a_torchscript_module_is_refused(workspace: Path) -> None:
    script = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
    assert "network: is a TorchScript module" in refusal(script)
    assert not list(workspace.iterdir())


@pytest.mark.usefixtures("workspace")
def test_a_network_with_views_trains_in_the_usual_memory_layout() -> None:
    assert (
        archsearch.train(*DATA, "trainer.epochs=1", "trainer.channels_last=false", network=View()).state == "FINISHED"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model=session4"], "model: a model's settings have no effect on a network; leave them or network out"),
        (["model.width=2"], "model.width: a model's settings have no effect on a network"),
        (["init.first_conv=whitening"], "init.first_conv: got 'whitening', must be torch"),
        (["constraints.max_params=100"], "constraints.max_params: the model has 235 parameters, 100 are allowed"),
        (["constraints.min_receptive_field=3"], "the receptive field of a network of one's own is unknown"),
        (["trainer.epochs=0"], "trainer.epochs: got 0, must be at least 1"),
    ],
)
def test_settings_are_checked_as_for_a_model(settings: list[str], message: str, workspace: Path) -> None:
    assert message in refusal(network(), *settings)
    assert not list(workspace.iterdir())
