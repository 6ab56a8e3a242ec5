"""What people look at, in a real browser: the MLflow pages of a run. Needs Debian's chromium.

Screenshots are kept where ARCHSEARCH_SCREENSHOTS names a folder, to be looked at.
"""

import os
import shutil
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK, ask, start

from archsearch.experiment import run
from archsearch.prepare import prepare

pytestmark = pytest.mark.browser
CURVE = """() => [...document.querySelectorAll(".scatterlayer path.js-line")]
    .some(path => /L/.test(path.getAttribute("d")))"""
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": 1400, "height": 1600})
        browser.close()


@pytest.fixture
def ui(workspace: Path) -> Iterator[tuple[str, str, str]]:
    """A trained run and the UI that shows it: (address, experiment id, run id)."""
    folder = workspace / "outputs" / "runs" / "a"
    folder.mkdir(parents=True)
    result = run(prepare(ask(*QUICK, "trainer.epochs=4")), folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start(f"ui.port={port}", cwd=workspace, module="archsearch.ui")
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, process.communicate()
                time.sleep(0.5)
        yield address, str(result.tracking["experiment_id"]), result.run_id
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def keep(page: Any, name: str) -> None:
    folder = os.environ.get("ARCHSEARCH_SCREENSHOTS")
    if folder is not None:
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_the_pages_of_a_run(page: Any, ui: tuple[str, str, str]) -> None:
    address, experiment, run_id = ui
    here = f"{address}/#/experiments/{experiment}/runs/{run_id}"
    page.goto(f"{here}?workflowType=machine_learning")
    for said in ("session5_step1", "val/accuracy", "test/accuracy", "model.dropout", "scikit-learn digits", "Finished"):
        page.get_by_text(said).first.wait_for(timeout=60_000)
    keep(page, "run-overview")
    page.goto(f"{here}/model-metrics?workflowType=machine_learning")
    for section in ("train", "val"):
        page.get_by_text(section, exact=True).first.wait_for(timeout=60_000)
    page.get_by_text("val", exact=True).first.scroll_into_view_if_needed()  # charts are drawn when they come into view
    page.wait_for_function(CURVE, timeout=60_000)
    keep(page, "run-curves")
    page.goto(f"{here}/artifacts/mistakes.png")
    page.get_by_text("confusion.png").first.wait_for(timeout=60_000)
    page.locator("img[src^='blob:'], .js-plotly-plot image, .image-outer-container img").first.wait_for(timeout=60_000)
    keep(page, "run-mistakes")
