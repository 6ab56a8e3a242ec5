"""The MLflow pages of runs and sweeps, and the page of a report, in a browser. Needs Debian's chromium.

Screenshots are written to the folder ARCHSEARCH_SCREENSHOTS, if it is set.
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

from archsearch.data.catalogue import DATASETS
from archsearch.data.load import load
from archsearch.runs.prepare import prepare
from archsearch.runs.train import train_run
from tests.support.mlflow_server import free_port
from tests.support.processes import start
from tests.support.requests import QUICK, ask
from tests.support.studies import write_run
from tests.support.sweeps import TINY, results_of

pytestmark = pytest.mark.browser
CURVE = """() => [...document.querySelectorAll(".scatterlayer path.js-line")]
    .some(path => /L/.test(path.getAttribute("d")))"""
# The boxes of a drawing around a text, the innermost last.
BOXES = """const boxes = text => [...text.ownerSVGElement.querySelectorAll("rect, circle")].filter(box => {
    const [outer, inner] = [box.getBoundingClientRect(), text.getBoundingClientRect()];
    const [x, y] = [inner.x + inner.width / 2, inner.y + inner.height / 2];
    return outer.left <= x && x <= outer.right && outer.top <= y && y <= outer.bottom;
  });"""
# The lowest contrast between a text and its background.
CONTRAST = """() => {
  BOXES
  const luminance = text => {
    const parts = text.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const background = element => {
    for (let ancestor = element; ancestor; ancestor = ancestor.parentElement) {
      const colour = getComputedStyle(ancestor).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
  };
  const texts = [...document.querySelectorAll("p, td, th button, h1, h2, h3, h4, code, svg text, dd, li span")];
  return Math.min(...texts.map(text => {
    const style = getComputedStyle(text);
    const colour = text.closest("svg") ? style.fill : style.color;
    const box = text.closest("svg.network") && boxes(text).pop();
    const behind = box ? getComputedStyle(box).fill : background(text);
    const [light, dark] = [luminance(colour), luminance(behind)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  }));
}""".replace("BOXES", BOXES)
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
    """Serves the workspace's store with the UI; yields its address."""
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


def keep(page: Any, name: str, full_page: bool = False) -> None:
    """Write a screenshot, if a folder for them is set."""
    folder = os.environ.get("ARCHSEARCH_SCREENSHOTS")
    if folder is not None:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=full_page)


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a trained run's page."""
    workspace = tmp_path_factory.mktemp("run")
    folder = workspace / "outputs" / "runs" / "a"
    folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        result = train_run(prepare(ask(*QUICK, "trainer.epochs=4")), folder)
    with serving(workspace) as address:
        yield f"{address}/#/experiments/{result.tracking['experiment_id']}/runs/{result.run_id}"


def test_the_overview_of_a_run_has_its_settings_and_metrics(page: Any, trained_run: str) -> None:
    page.goto(f"{trained_run}?workflowType=machine_learning")
    for text in ("session5_step1", "val/accuracy", "test/accuracy", "model.dropout", "scikit-learn digits", "Finished"):
        page.get_by_text(text).first.wait_for(timeout=60_000)
    keep(page, "run-overview")


def test_the_metrics_of_a_run_are_curves_for_training_and_validation(page: Any, trained_run: str) -> None:
    page.goto(f"{trained_run}/model-metrics?workflowType=machine_learning")
    for section in ("train", "val"):
        page.get_by_text(section, exact=True).first.wait_for(timeout=60_000)
    page.get_by_text("val", exact=True).first.scroll_into_view_if_needed()  # charts are drawn when they become visible
    page.wait_for_function(CURVE, timeout=60_000)
    keep(page, "run-curves")


def test_the_figures_of_a_run_are_shown(page: Any, trained_run: str) -> None:
    page.goto(f"{trained_run}/artifacts/mistakes.png")
    page.get_by_text("confusion.png").first.wait_for(timeout=60_000)
    page.locator("img[src^='blob:'], .js-plotly-plot image, .image-outer-container img").first.wait_for(timeout=60_000)
    keep(page, "run-mistakes")


@pytest.fixture(scope="module")
def trained_sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, list[str]]]:
    """A sweep beside a run that is not part of it: the UI's address, the printed path to the sweep, its run ids."""
    workspace = tmp_path_factory.mktemp("sweep")
    settings = ("trainer.epochs=3", "model.dropout=0,0.1", "model.width=0.4,0.6", "tracking.log_model=false")
    outputs = []
    for arguments in (("-m", *TINY, *settings), (*QUICK, "tracking.log_model=false", "seed=77")):
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            process = start(*arguments, cwd=workspace)
        output, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
        outputs.append(output)
    link = re.search(r"http://127.0.0.1:5000(/#/experiments/\S+)", outputs[0])
    assert link is not None
    with serving(workspace) as address:
        yield address, link[1], [result["run_id"] for _, result in sorted(results_of(workspace).items())]


def test_the_printed_link_of_a_sweep_shows_charts_of_its_runs_only(
    page: Any, trained_sweep: tuple[str, str, list[str]]
) -> None:
    address, path, _ = trained_sweep
    page.goto(f"{address}{path}")
    for name in ("dropout=0 width=0.4", "dropout=0.1 width=0.6"):
        page.get_by_text(name, exact=True).first.wait_for(timeout=60_000)
    page.get_by_text("matching runs").wait_for(timeout=60_000)
    page.wait_for_function(CURVE, timeout=60_000)
    text = page.locator("body").inner_text()
    assert re.search(r"\b4\s*matching runs", text) and "seed=77" not in text
    keep(page, "sweep-charts")


def test_compared_runs_have_the_varied_settings_as_parallel_coordinates(
    page: Any, trained_sweep: tuple[str, str, list[str]]
) -> None:
    address, path, run_ids = trained_sweep
    parameters = {
        "runs": json.dumps(run_ids),
        "experiments": json.dumps([path.split("/")[3]]),
        "workflowType": "machine_learning",
    }
    page.goto(f"{address}/#/compare-runs?{urllib.parse.urlencode(parameters)}")
    page.locator(".parcoords .y-axis").first.wait_for(timeout=60_000)
    axes = page.locator(".parcoords .axis-title").all_text_contents()
    assert sorted(axes) == ["model.dropout", "model.width", "val/accuracy"]
    keep(page, "sweep-compare")


@pytest.fixture(scope="module")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a report on runs that were never trained: two settings, with predictions and images."""
    folder = tmp_path_factory.mktemp("report")
    fingerprint = load(DATASETS["digits"], Path()).fingerprint
    data = {"name": "digits", "fingerprint": fingerprint, "fallback": None}
    runs = []
    for number, (head, dropout, seed) in enumerate(itertools.product(("gap", "linear"), (0, 0.1), (1, 2, 3))):
        right = [(image + number) % 20 > 0 for image in range(297)]
        overrides = (f"model.head.type={head}", f"model.dropout={dropout}")
        val = 95 + 2 * (head == "gap") + 0.1 * seed
        run = folder / "runs" / str(number)
        write_run(run, *overrides, seed=seed, val=val, test=95.0, right=right, data=data, params=900 + number // 3)
        runs.append(str(run))
    arguments = (f"run={','.join(runs)}", "html=report.html", "compare=gap 0,linear 0")
    process = start(*arguments, cwd=folder, module="archsearch.report")
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return (folder / "report.html").as_uri()


@pytest.fixture
def report(page: Any, report_page: str) -> Any:
    """The report, opened in the browser."""
    page.goto(report_page)
    return page


@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("light", 1200, "light"), ("dark", 1200, "dark"), ("phone", 375, "dark")]
)
def test_a_report_works_offline_in_light_and_dark_on_wide_and_narrow_screens(
    page: Any, report_page: str, name: str, width: int, scheme: str
) -> None:
    viewport = {"width": width, "height": 900}
    context = page.context.browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
    tab = context.new_page()
    messages: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(report_page)
    assert messages == []
    assert not [url for url in requests if url.startswith("http")]
    assert tab.evaluate("document.documentElement.scrollWidth") == width  # nothing overflows
    assert tab.evaluate(CONTRAST) >= 4.5  # WCAG AA
    keep(tab, f"report-{name}", full_page=True)
    context.close()


def test_a_report_has_one_title_and_a_heading_per_section(report: Any) -> None:
    assert report.locator("h1").count() == 1 and report.locator("h2").count() == 2


@pytest.mark.parametrize("part", ["svg", "img", "div.scroll"])
def test_plots_images_and_tables_have_accessible_names(report: Any, part: str) -> None:
    names = report.locator(part).evaluate_all(
        "elements => elements.map(element => element.getAttribute('aria-label') || element.alt)"
    )
    assert names and all(names)


def test_the_ids_of_a_report_are_unique(report: Any) -> None:
    ids = report.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids)) > 0


def test_the_networks_of_a_report_are_drawn_and_their_text_fits(report: Any) -> None:
    drawings = report.locator("svg.network")
    assert drawings.count() == 2 and "Network of A" in report.locator(".networks").inner_text()
    for drawing in drawings.all():
        assert drawing.get_by_text("changed").count() == 1  # the head
        too_wide = drawing.evaluate(f"""drawing => {{
            {BOXES}
            return [...drawing.querySelectorAll("text")].filter(text => {{
                const box = boxes(text).pop() || drawing;
                return text.getBoundingClientRect().right > box.getBoundingClientRect().right;
            }}).length;
        }}""")
        assert too_wide == 0


def test_the_test_images_of_a_report_are_shown(report: Any) -> None:
    assert report.locator("img").first.evaluate("image => image.naturalWidth") == 28


def test_tables_are_sorted_by_keyboard(report: Any) -> None:
    def column(number: int) -> list[str]:
        cells = report.locator(f"#leaderboard-1 tbody tr td:nth-child({number})").all_text_contents()
        return [cell.strip() for cell in cells]

    assert column(1) == ["1", "2", "3", "4"]
    heading = report.locator("#leaderboard-1 th").nth(3)
    for order, is_reversed in (("ascending", False), ("descending", True)):
        heading.get_by_role("button").press("Enter")
        assert heading.get_attribute("aria-sort") == order
        assert column(4) == sorted(column(4), reverse=is_reversed)
