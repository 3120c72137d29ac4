"""The page in a real browser."""

from pathlib import Path

import pytest

from pytest_fleetq.report.bundle import Bundle
from pytest_fleetq.report.html import write_page
from pytest_fleetq.report.measurements import FILE as MEASUREMENTS
from tests.plugin.report.browser import Browser
from tests.plugin.report.runs import AGAIN, NASTY, Told, bundled
from tests.plugin.report.test_measurements import MEASURED

LEFT = 132  # where time begins, in pixels from the left of the timeline
PAUSE, KILL = (221, 34, 0), (0, 34, 221)  # colours of the faults


def opened(browser: Browser, folder: Path, hash: str = "") -> Browser:
    browser.open(write_page(Bundle(folder)).as_uri() + hash)
    return browser


def colours(browser: Browser, canvas: str = "#lanes") -> dict[tuple[int, ...], int]:
    """How many pixels there are of each colour."""
    found = browser.run(f"""(() => {{
        const canvas = document.querySelector("{canvas}"), counts = {{}};
        // A copy: to read from the page's own again and again would make it slow.
        const copy = new OffscreenCanvas(canvas.width, canvas.height);
        const pen = copy.getContext("2d", {{ willReadFrequently: true }});
        pen.drawImage(canvas, 0, 0);
        const pixels = pen.getImageData(0, 0, copy.width, copy.height).data;
        for (let i = 0; i < pixels.length; i += 4) {{
            const name = pixels.slice(i, i + 3).join(",");
            counts[name] = (counts[name] ?? 0) + 1;
        }}
        return counts;
    }})()""")
    return {tuple(map(int, name.split(","))): many for name, many in found.items()}


def of_theme(browser: Browser, name: str) -> tuple[int, ...]:
    """A colour that the page's style names."""
    text = browser.run(
        f"getComputedStyle(document.documentElement).getPropertyValue('--{name}').trim()"
    )
    return tuple(bytes.fromhex(text.removeprefix("#")))


def place(browser: Browser, seconds: float) -> tuple[float, float]:
    """Of a moment on the timeline: its x, and the y of the upper edge."""
    x, y, width, end = browser.run("""(() => {
        const box = document.getElementById("lanes").getBoundingClientRect();
        const told = JSON.parse(document.getElementById("story").textContent);
        return [box.x, box.y, box.width, told.end];
    })()""")
    return x + LEFT + seconds / end * (width - 1 - LEFT), y


def start_of(browser: Browser, fault: int) -> float:
    story = "JSON.parse(document.getElementById('story').textContent)"
    return float(browser.run(f"{story}.faults[{fault}].start"))


def show_timeline(browser: Browser) -> None:
    browser.run("document.getElementById('timeline').scrollIntoView()")
    browser.settle()


def test_it_says_how_the_test_ended_and_how_to_run_it_again(browser: Browser, broken: Path) -> None:
    opened(browser, broken)
    assert browser.text("#verdict").lower() == "failed"
    assert browser.text("h1") == "test_it"
    assert browser.text("#reproduce") == AGAIN
    told = browser.text("#findings")
    assert "step 5 was claimed by " in told
    assert "at_most_one_live_claim" in told
    assert "claimed by pod-2 (cccccccc) steps [5]" in told
    assert NASTY in told
    assert browser.run("document.title") == "test_it.py::test_it"


def test_pods_have_lanes_with_attempts_leaders_and_bands_of_faults(
    browser: Browser, broken: Path
) -> None:
    opened(browser, broken)
    seen = colours(browser)
    for name in ("completed", "dead", "crashed", "leader", "gone"):
        assert seen.get(of_theme(browser, name), 0) > 20, name
    assert seen[PAUSE] > 100
    assert seen[KILL] > 100
    legend = browser.text("#legend")
    assert "failed for good" in legend
    assert "leads" in legend


def test_pointing_at_a_fault_tells_its_effect(browser: Browser, broken: Path) -> None:
    opened(browser, broken)
    show_timeline(browser)
    x, y = place(browser, start_of(browser, 0) + 0.05)
    browser.mouse("mouseMoved", x, y + 30)
    browser.settle()
    assert browser.text("#tip").startswith("pause on pod-1, for ")


def test_choosing_a_fault_shows_all_of_it(browser: Browser, broken: Path) -> None:
    opened(browser, broken)
    show_timeline(browser)
    x, y = place(browser, start_of(browser, 1) + 0.05)
    browser.click(x, y + 30)
    details = browser.text("#details")
    assert "Fault kill" in details
    assert "never" not in details


def test_a_finding_leads_to_the_life_of_its_step(browser: Browser, broken: Path) -> None:
    opened(browser, broken)
    buttons = "[...document.querySelectorAll('#findings button')]"
    browser.run(f"{buttons}.find((one) => one.innerText === 'Show step 5').click()")
    browser.settle()
    details = browser.text("#details")
    assert details.startswith("Step 5")
    # Two claims lie over each other: that is what was wrong.
    assert details.count("claimed") == 2
    assert "2 attempts" in details
    assert "never ended" not in details


def test_a_line_that_a_finding_names_leads_to_where_it_happened(
    browser: Browser, broken: Path
) -> None:
    opened(browser, broken)
    browser.run("document.querySelector('#findings li button').click()")
    browser.settle()
    assert browser.text("#details").startswith("Step 5")


def test_a_step_can_be_searched_and_linked_to(browser: Browser, broken: Path) -> None:
    opened(browser, broken, "#step=3")
    assert browser.text("#details").startswith("Step 3")
    browser.run("document.getElementById('wanted').focus()")
    browser.key("4")
    browser.run("document.querySelector('#search button').click()")
    browser.settle()
    details = browser.text("#details")
    assert details.startswith("Step 4")
    assert "dead: handler_error" in details


def test_keys_are_enough(browser: Browser, broken: Path) -> None:
    opened(browser, broken)
    browser.run("document.getElementById('lanes').focus()")
    whole = colours(browser, "#overview")
    browser.key("+")
    browser.key("ArrowRight")
    assert colours(browser, "#overview") != whole
    browser.key("0")
    assert colours(browser, "#overview") == whole
    browser.key("ArrowDown")
    assert browser.text("#details").startswith("pod-0")
    browser.key("n")
    assert browser.text("#details").startswith("Step 1")
    browser.key("n")
    assert browser.text("#details").startswith("Step 3")
    browser.key("p")
    assert browser.text("#details").startswith("Step 1")
    browser.key("Escape")
    assert browser.text("#details").startswith("2 faults")


def test_dragging_moves_and_the_wheel_zooms_only_with_ctrl(browser: Browser, broken: Path) -> None:
    opened(browser, broken)
    show_timeline(browser)
    whole = colours(browser, "#overview")
    x, y = place(browser, 0.3)
    browser.mouse("mouseWheel", x, y + 100, deltaX=0, deltaY=-120)
    browser.settle()
    assert colours(browser, "#overview") == whole
    show_timeline(browser)
    x, y = place(browser, 0.3)
    browser.mouse("mouseWheel", x, y + 100, deltaX=0, deltaY=-120, modifiers=2)
    browser.settle()
    zoomed = colours(browser)
    browser.mouse("mousePressed", x, y + 100, button="left", clickCount=1)
    browser.mouse("mouseMoved", x - 200, y + 100, button="left", buttons=1)
    browser.mouse("mouseReleased", x - 200, y + 100, button="left", clickCount=1)
    browser.settle()
    assert colours(browser) != zoomed


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_it_fits_every_window_in_light_and_dark(
    browser: Browser, broken: Path, width: int, height: int, dark: bool
) -> None:
    (broken / MEASUREMENTS).write_text(MEASURED.to_json())
    browser.window(width, height, dark=dark, phone=width < 500)
    opened(browser, broken, "#step=3")
    assert browser.run("document.documentElement.scrollWidth") <= width
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(15, 19, 24)") is dark
    assert colours(browser).get(of_theme(browser, "completed"), 0) > 20


def test_measurements_are_drawn_with_their_budgets(browser: Browser, broken: Path) -> None:
    (broken / MEASUREMENTS).write_text(MEASURED.to_json())
    opened(browser, broken)
    told = browser.text("#measures")
    assert "claim.p99 <= 50ms" in told
    assert "4 times better" in told
    assert "only one sample" in told
    assert "cpu of each pod (%)" in told
    assert browser.run("document.querySelectorAll('#measures canvas').length") == 2
    assert colours(browser, "#measures canvas").get(of_theme(browser, "completed"), 0) > 20


def test_the_log_of_each_pod_is_shown_as_it_is(browser: Browser, broken: Path) -> None:
    (broken / "pod-1" / "log").write_text('{"event": "ready", "level": "warning", "port": 7}\n')
    opened(browser, broken)
    assert browser.text("#log").split("\n")[-1].strip() == NASTY
    browser.run("document.querySelectorAll('[role=tab]')[1].click()")
    browser.settle()
    assert browser.text("#log").split() == ["ready", "port=7"]
    assert browser.run("document.querySelectorAll('#log .warning').length") == 1


def test_a_run_in_which_nothing_happened_has_a_page_too(browser: Browser, tmp_path: Path) -> None:
    bundled(tmp_path, Told(tmp_path), "passed")
    opened(browser, tmp_path)
    assert browser.text("#verdict").lower() == "passed"
    assert "No faults were injected" in browser.text("#details")


def test_a_screenshot_is_not_empty(browser: Browser, broken: Path, tmp_path: Path) -> None:
    opened(browser, broken)
    image = browser.screenshot(tmp_path / "page.png")
    assert image.startswith(b"\x89PNG")
    assert len(image) > 20_000
