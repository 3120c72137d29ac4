"""A page stays quick, whatever the length of the run."""

import time
from pathlib import Path

import pytest

from pytest_fleetq.report.html import write_page
from tests.plugin.report.browser import Browser
from tests.plugin.report.runs import a_long_run

BYTES = 150  # of the page, for each operation
WRITING = 80e-6  # CPU seconds for each; it needs about as many as the history does to be read
DRAWING = 1.0  # seconds; it takes a tenth
SLACK = 3.0  # a core shared with others


@pytest.mark.parametrize("operations", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_many_operations_make_no_slow_page(
    browser: Browser, tmp_path: Path, operations: int
) -> None:
    bundle = a_long_run(tmp_path, operations)
    began = time.process_time()
    page = write_page(bundle)
    assert time.process_time() - began < WRITING * SLACK * operations + 1
    assert page.stat().st_size < BYTES * operations + 100_000
    browser.open(page.as_uri())
    for press in ("in", "in", "out", "all"):
        took = browser.run(f"""(async () => {{
            const began = performance.now();
            document.getElementById("{press}").click();
            await new Promise(requestAnimationFrame);
            return (performance.now() - began) / 1000;
        }})()""")
        assert took < DRAWING * SLACK
    assert f"{operations:,}" in browser.text("header")
    assert f"{operations // 500} steps did not go straight" in browser.text("#details")
