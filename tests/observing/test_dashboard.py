"""The dashboard draws nothing that a pod does not tell."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.cluster.fleet import Pods
from tests.observing.conftest import Scrape, metrics_of

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana.json"
SERIES = re.compile(r"\b(?:fleetq|process)_\w+")
LABELS = re.compile(r"by \(([^)]*)\)|(\w+)(?:=~|!=|=)\"|\{\{(\w+)\}\}")
OF_PROMETHEUS = {"job", "instance"}  # added by it to whatever it scrapes


def drawn() -> list[tuple[str, str]]:
    """(query, legend) of each line."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [(one["expr"], one["legendFormat"]) for panel in panels for one in panel["targets"]]


def labels_in(text: str) -> set[str]:
    found = (word for groups in LABELS.findall(text) for word in groups)
    return {label.strip() for words in found for label in words.split(",") if words} - {""}


@pytest.fixture
def scrape(pods: Pods) -> Scrape:
    """Of a pod that has done something."""
    pod = pods.start(metrics="127.0.0.1:0")
    pods.client(pod).submit_one("note", pods.payload())
    pods.await_event("completed")
    return Scrape(metrics_of(pod))


def test_the_dashboard_draws_what_a_pod_tells_and_all_of_it(scrape: Scrape) -> None:
    told: dict[str, set[str]] = defaultdict(set)
    for sample in scrape.samples:
        told[sample.name] |= sample.labels.keys()
    for query, legend in drawn():
        series = SERIES.findall(query)
        assert series, query
        assert set(series) <= told.keys(), query
        known = OF_PROMETHEUS.union(*(told[name] for name in series))
        assert labels_in(f"{query} {legend}") <= known, query
    families = set(re.findall(r"^# TYPE (fleetq_\w+)", scrape.text, re.MULTILINE))
    queries = "\n".join(query for query, _ in drawn())
    assert {name for name in families if name not in queries} == set()


def test_the_page_lists_what_a_pod_tells_and_nothing_else(scrape: Scrape) -> None:
    families = set(re.findall(r"^# TYPE (fleetq_\w+)", scrape.text, re.MULTILINE))
    page = (DASHBOARD.parent / "metrics.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(fleetq_\w+)", page, re.MULTILINE)) == families
