"""`trainer.precision=auto`: bfloat16 where it pays, and always the same on one machine."""

import platform
from pathlib import Path

import pytest

from archsearch.compose import precision
from archsearch.compose.precision import fastest_precision, with_precision
from archsearch.system import hardware
from tests.support.requests import ask


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), "bfloat16"),
        (("trainer.device=cpu",), "bfloat16"),
        (("trainer.device=cuda",), "float32"),
        (("trainer.fused=false",), "float32"),
        (("trainer.channels_last=false",), "float32"),
        (("trainer.compile=true",), "float32"),
        (("trainer.precision=float32",), "float32"),
        (("trainer.precision=bfloat16", "trainer.fused=false"), "bfloat16"),
        (("experiment=eva6_session4",), "float32"),
    ],
)
def test_it_is_chosen_by_what_is_trained_and_how(overrides: tuple[str, ...], expected: str) -> None:
    assert with_precision(ask(*overrides), "bfloat16").config["trainer"]["precision"] == expected


def test_networks_of_ones_own_train_in_float32() -> None:
    request = ask()
    request.config["model"] = {"network": "Net", "digest": "0"}
    assert with_precision(request, "bfloat16").config["trainer"]["precision"] == "float32"


def test_the_request_itself_is_not_changed() -> None:
    request = ask()
    with_precision(request, "bfloat16")
    assert request.config["trainer"]["precision"] == "auto"


@pytest.mark.parametrize(
    ("flags", "gpu", "expected"),
    [
        ("fpu avx2 avx512f avx512_bf16", False, "bfloat16"),
        ("fpu amx_bf16 amx_tile", False, "bfloat16"),
        ("fpu avx2 avx512f", False, "float32"),
        ("", False, "float32"),
        ("avx512_bf16", True, "float32"),
    ],
)
def test_it_is_the_fastest_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, flags: str, gpu: bool, expected: str
) -> None:
    monkeypatch.setattr(hardware, "_cpuinfo", lambda: {"flags": flags})
    monkeypatch.setattr(precision, "gpu_may_be_here", lambda: gpu)
    assert fastest_precision() == expected


@pytest.mark.skipif(platform.system() != "Linux", reason="only Linux says what its processor can do")
def test_the_processor_is_read_from_linux() -> None:
    flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "")
    assert hardware.processor_has_bfloat16() == ("avx512_bf16" in flags.split() or "amx_bf16" in flags.split())
