"""What people look at, in a real browser: the MLflow pages of a run, and reports. Needs Debian's chromium.

Screenshots are kept where ARCHSEARCH_SCREENSHOTS names a folder, to be looked at.
"""

import itertools
import json
import os
import re
import shutil
import signal
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from archsearch.data.info import DATASETS
from archsearch.data.load import load
from archsearch.runs.prepare import prepare
from archsearch.runs.train import train_run
from tests.support.mlflow_server import free_port
from tests.support.processes import Cli, start
from tests.support.requests import QUICK, ask
from tests.support.studies import write_run
from tests.support.sweeps import TINY, results_of

pytestmark = pytest.mark.browser
CURVE = """() => [...document.querySelectorAll(".scatterlayer path.js-line")]
    .some(path => /L/.test(path.getAttribute("d")))"""
# The lowest contrast of a text with what is behind it.
CONTRAST = """() => {
  const light = text => {
    const parts = text.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
  };
  const shown = [...document.querySelectorAll("p, td, th button, h1, h2, h3, h4, code, svg text, dd, li span")];
  return Math.min(...shown.map(one => {
    const style = getComputedStyle(one);
    const pair = [light(one.closest("svg") ? style.fill : style.color), light(behind(one))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  }));
}"""
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


@contextmanager
def serving(workspace: Path) -> Iterator[str]:
    """The UI on the workspace's store: its address."""
    port = free_port()
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
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def keep(page: Any, name: str) -> None:
    folder = os.environ.get("ARCHSEARCH_SCREENSHOTS")
    if folder is not None:
        page.screenshot(path=Path(folder) / f"{name}.png")


def keep_whole(page: Any, name: str) -> None:
    folder = os.environ.get("ARCHSEARCH_SCREENSHOTS")
    if folder is not None:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def run_page(workspace: Path) -> Iterator[str]:
    """The address of a trained run's page."""
    folder = workspace / "outputs" / "runs" / "a"
    folder.mkdir(parents=True)
    result = train_run(prepare(ask(*QUICK, "trainer.epochs=4")), folder)
    with serving(workspace) as address:
        yield f"{address}/#/experiments/{result.tracking['experiment_id']}/runs/{result.run_id}"


def test_the_pages_of_a_run(page: Any, run_page: str) -> None:
    here = run_page
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


def test_the_pages_of_a_sweep(page: Any, cli: Cli, workspace: Path) -> None:
    """The printed link shows the variants and nothing else, as charts; comparing them, what varies against accuracy."""
    words = ("trainer.epochs=3", "model.dropout=0,0.1", "model.width=0.4,0.6", "tracking.log_model=false")
    done = cli("-m", *TINY, *words)
    assert done.returncode == 0, done.stderr
    assert cli(*QUICK, "tracking.log_model=false", "seed=77").returncode == 0  # a run that is not of the sweep
    link = re.search(r"http://127.0.0.1:5000(/#/experiments/\S+)", done.stdout)
    assert link is not None
    with serving(workspace) as address:
        page.goto(f"{address}{link[1]}")
        for name in ("dropout=0 width=0.4", "dropout=0.1 width=0.6"):
            page.get_by_text(name, exact=True).first.wait_for(timeout=60_000)
        page.get_by_text("matching runs").wait_for(timeout=60_000)
        page.wait_for_function(CURVE, timeout=60_000)
        assert re.search(r"\b4\s*matching runs", page.locator("body").inner_text())
        assert "seed=77" not in page.locator("body").inner_text()
        keep(page, "sweep-charts")
        runs = json.dumps([result["run_id"] for _, result in sorted(results_of(workspace).items())])
        experiment = json.dumps([link[1].split("/")[3]])
        asked = urllib.parse.urlencode({"runs": runs, "experiments": experiment, "workflowType": "machine_learning"})
        page.goto(f"{address}/#/compare-runs?{asked}")
        page.locator(".parcoords .y-axis").first.wait_for(timeout=60_000)
        axes = page.locator(".parcoords .axis-title").all_text_contents()
        assert sorted(axes) == ["model.dropout", "model.width", "val/accuracy"]
        keep(page, "sweep-compare")


@pytest.fixture
def report_page(cli: Cli, workspace: Path) -> Path:
    """The page of a report on runs that nobody trained, of two settings, with images."""
    fingerprint = load(DATASETS["digits"], Path()).fingerprint
    data = {"name": "digits", "fingerprint": fingerprint, "fallback": None}
    folders = []
    for at, (head, dropout, seed) in enumerate(itertools.product(("gap", "linear"), (0, 0.1), (1, 2, 3))):
        right = [(image + at) % 20 > 0 for image in range(297)]
        words = (f"model.head.type={head}", f"model.dropout={dropout}")
        val = 95 + 2 * (head == "gap") + 0.1 * seed
        folder = workspace / "runs" / str(at)
        folders.append(
            write_run(folder, *words, seed=seed, val=val, test=95.0, right=right, data=data, params=900 + at // 3)
        )
    names = ",".join(map(str, folders))
    done = cli(f"run={names}", "html=report.html", "compare=gap 0,linear 0", module="archsearch.report")
    assert done.returncode == 0, done.stderr
    return workspace / "report.html"


def test_the_page_of_a_report(page: Any, report_page: Path) -> None:
    """Alone on a disk: no request, no error, tables that can be sorted, light and dark, wide and narrow."""
    browser = page.context.browser
    for name, width, scheme in (("light", 1200, "light"), ("dark", 1200, "dark"), ("phone", 375, "dark")):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        tab = context.new_page()
        told: list[str] = []
        tab.on("console", lambda message, told=told: told.append(message.text))
        tab.on("pageerror", lambda error, told=told: told.append(str(error)))
        tab.on("request", lambda request, told=told: told.append(request.url) if request.url[:4] == "http" else None)
        tab.goto(report_page.as_uri())
        assert told == []
        assert tab.evaluate("document.documentElement.scrollWidth") == width  # nothing sticks out
        assert tab.evaluate(CONTRAST) >= 4.5  # WCAG AA
        keep_whole(tab, f"report-{name}")
        context.close()
    page.goto(report_page.as_uri())
    assert page.locator("h1").count() == 1 and page.locator("h2").count() == 2
    for part in ("svg", "img", "div.scroll"):
        names = page.locator(part).evaluate_all("all => all.map(one => one.getAttribute('aria-label') || one.alt)")
        assert names and all(names)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("img").first.evaluate("image => image.naturalWidth") == 28

    def column(number: int) -> list[str]:
        cells = page.locator(f"#leaderboard-1 tbody tr td:nth-child({number})").all_text_contents()
        return [cell.strip() for cell in cells]

    assert column(1) == ["1", "2", "3", "4"]
    head = page.locator("#leaderboard-1 th").nth(4)
    for order, backwards in (("ascending", False), ("descending", True)):
        head.get_by_role("button").press("Enter")  # by keyboard, too
        assert head.get_attribute("aria-sort") == order
        assert column(5) == sorted(column(5), reverse=backwards)
