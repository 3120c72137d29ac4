"""The page as a file: whole by itself, and deaf to what it shows."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pytest_fleetq.report.bundle import Bundle
from pytest_fleetq.report.html import SCRIPTS, embedded, render, write_page
from tests.plugin.report.runs import AGAIN, NASTY

PAGE = Path(render.__code__.co_filename).parent / "page"


class Elements(HTMLParser):
    """What a browser would make of the page: elements, and the texts of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script":
            self.scripts[-1] += data


@pytest.fixture
def page(broken: Path) -> str:
    return render(Bundle(broken))


def test_nothing_that_was_logged_becomes_markup(page: str) -> None:
    elements = Elements(page)
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert not [tag for tag, _ in elements.found if tag == "img"]
    story = json.loads(elements.scripts[0])
    assert NASTY in story["failure"]
    assert story["logs"][0]["lines"] == ["pod-0 began", NASTY]


@pytest.mark.parametrize("text", ["</script>", "<!--", "<script>", "\u2028", "é\ud800"])
def test_any_text_survives_being_embedded(text: str) -> None:
    told = embedded({"text": text})
    assert "<" not in told
    assert json.loads(told) == {"text": text}


def test_the_page_asks_no_network_for_anything(page: str) -> None:
    elements = Elements(page)
    addresses = [(tag, name) for tag, attributes in elements.found for name in attributes]
    assert not {("script", "src"), ("link", "href"), ("img", "src")} & set(addresses)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket", page)
    assert "https://" not in page
    [policy] = [told["content"] for _, told in elements.found if "http-equiv" in told]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_without_scripts_it_tells_what_happened(page: str) -> None:
    told = page.partition("<noscript>")[2].partition("</noscript>")[0]
    assert AGAIN in told
    assert "at_most_one_live_claim" in told


def test_every_script_is_in_the_page_and_in_the_package() -> None:
    assert sorted(SCRIPTS) == sorted(path.name for path in PAGE.glob("*.js"))


def test_it_is_written_into_the_bundle_unless_told_otherwise(broken: Path, tmp_path: Path) -> None:
    assert write_page(Bundle(broken)) == broken / "report.html"
    assert (
        write_page(Bundle(broken), tmp_path / "elsewhere.html").read_text().startswith("<!doctype")
    )
