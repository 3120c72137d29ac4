"""Results of benchmarks: the JSON document that `fleetq gate` and `fleetq trend` read.

    {"timestamp": "2026-01-15T10:30:00+00:00",
     "configuration": {
         "num_pods": 5,
         "system_info": {"cpu_count": 8, "memory_total_gb": 16.0},
         "versions": {"python": "3.12.1"}, "commit": "1f0c…", "seed": 7, "fsync_ms": 0.8,
         "fingerprint": {"cpu": "…", "cores": 8}},
     "benchmarks": [{
         "benchmark_name": "step_claiming",
         "metrics": {"claiming_throughput_ops_per_sec": 45.2, "average_latency_ms": 22.1},
         "success": true,
         "counts": {"sql_statements_per_step": 3},
         "raw": {"claiming_throughput_ops_per_sec": 90.4},
         "ratio": {"claiming_throughput_ops_per_sec": 0.5},
         "workload": {"steps": 1000},
         "judging": {"queue_depth": {"better": "lower", "primary": true, "min_effect": 0.05}}}]}

Any program may write it. Required are `timestamp`, `benchmarks`, and of each of those
`benchmark_name` and, unless it failed, `metrics` or `counts`; fields not named here are ignored.

- `metrics`: measured numbers. Names say how they are judged (`metrics.py`), or `judging` does.
- `counts`: exact numbers, the same in each run, of which fewer are better: statements per step.
- `raw`: the same metrics of the limit they were measured beside, and `ratio` of the two.
- `workload`: what was asked for. Results of different workloads are not compared.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from pytest_fleetq.perf.errors import BadResults
from pytest_fleetq.perf.fields import Fields
from pytest_fleetq.perf.fingerprint import Fingerprint
from pytest_fleetq.perf.metrics import Better, Judging, judging_of

JUDGING_FIELDS = ("better", "primary", "min_effect")


@dataclass(frozen=True, slots=True)
class SystemInfo:
    cpu_count: int | None = None
    memory_total_gb: float | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the figures depend on.

    Attributes:
        fsync_ms: Median time of one fsync where the store was, in milliseconds.
        fingerprint: Of the machine; without one, results are never compared with stored ones.
    """

    num_pods: int | None = None
    system_info: SystemInfo = field(default_factory=SystemInfo)
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    seed: int | None = None
    fsync_ms: float | None = None
    fingerprint: Fingerprint = field(default_factory=dict)

    @classmethod
    def read(cls, fields: Fields) -> Self:
        system = fields.section("system_info")
        return cls(
            fields.optional_whole("num_pods"),
            SystemInfo(
                system.optional_whole("cpu_count"), system.optional_number("memory_total_gb")
            ),
            _texts(fields.section("versions")),
            fields.optional_text("commit"),
            fields.optional_whole("seed"),
            fields.optional_number("fsync_ms"),
            _fingerprint(fields.section("fingerprint")),
        )


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark's figures; the module's docstring tells of each field."""

    benchmark_name: str
    metrics: Mapping[str, float]
    success: bool = True
    counts: Mapping[str, float] = field(default_factory=dict)
    raw: Mapping[str, float] = field(default_factory=dict)
    ratio: Mapping[str, float] = field(default_factory=dict)
    workload: Mapping[str, object] = field(default_factory=dict)
    judging: Mapping[str, Judging] = field(default_factory=dict)

    def judging_of(self, metric: str) -> Judging | None:
        """None: nobody said which way is better."""
        return self.judging.get(metric) or judging_of(metric)

    @classmethod
    def read(cls, fields: Fields) -> Self:
        metrics = fields.section("metrics").numbers()
        counts = fields.section("counts").numbers()
        success = fields.flag("success", default=True)
        if success and not metrics and not counts:
            raise BadResults(f"{fields.at('metrics')}: is missing or empty, and so is counts")
        if both := metrics.keys() & counts.keys():
            raise BadResults(f"{fields.at('counts')}.{min(both)}: is among metrics as well")
        return cls(
            fields.text("benchmark_name"),
            metrics,
            success,
            counts,
            fields.section("raw").numbers(),
            fields.section("ratio").numbers(),
            fields.section("workload").values(),
            {
                name: _judging(fields.section("judging").required_section(name))
                for name in fields.section("judging").values()
            },
        )


@dataclass(frozen=True, slots=True)
class Results:
    """One run of some benchmarks. `timestamp` is ISO 8601, with its offset from UTC."""

    timestamp: str
    configuration: Configuration
    benchmarks: Sequence[Benchmark]

    @classmethod
    def from_json(cls, text: str, source: str) -> Self:
        """
        Args:
            source: Where the text is from, for errors.

        Raises:
            BadResults: names `source` and the field that is wrong.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise BadResults(f"{source}: is not JSON: {error}") from None
        return cls.read(Fields(document, f"{source}:"))

    @classmethod
    def read(cls, fields: Fields) -> Self:
        timestamp = _timestamp(fields)
        found = tuple(Benchmark.read(each) for each in fields.objects("benchmarks"))
        names = [benchmark.benchmark_name for benchmark in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise BadResults(f"{fields.at('benchmarks')}: {twice!r} is there more than once")
        configuration = Configuration.read(fields.section("configuration"))
        return cls(timestamp, configuration, found)

    @classmethod
    def load(cls, path: Path) -> Self:
        """
        Raises:
            BadResults: it is no file that can be read, or its content is wrong.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadResults(f"{path}: cannot be read: {error}") from None
        return cls.from_json(text, str(path))

    def to_document(self) -> dict[str, Any]:
        """What JSON says; optional fields of a benchmark that are empty are left out."""
        return {
            "timestamp": self.timestamp,
            "configuration": asdict(self.configuration),
            "benchmarks": [_benchmark_document(benchmark) for benchmark in self.benchmarks],
        }

    def to_json(self, indent: int | None = 2) -> str:
        return json.dumps(self.to_document(), ensure_ascii=False, indent=indent)


def _benchmark_document(benchmark: Benchmark) -> dict[str, Any]:
    document = asdict(benchmark)
    always = ("benchmark_name", "metrics", "success")
    return {name: value for name, value in document.items() if value or name in always}


def _timestamp(fields: Fields) -> str:
    text = fields.text("timestamp")
    try:
        datetime.fromisoformat(text)
    except ValueError:
        where = fields.at("timestamp")
        raise BadResults(f"{where}: expected ISO 8601, got {text!r}") from None
    return text


def _texts(fields: Fields) -> dict[str, str]:
    return {name: fields.text(name) for name in fields.values()}


def _fingerprint(fields: Fields) -> dict[str, str | int]:
    for name, value in fields.values().items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise BadResults(f"{fields.at(name)}: expected text or a whole number, got {value!r}")
    return dict(fields.values())


def _judging(fields: Fields) -> Judging:
    unknown = [name for name in fields.values() if name not in JUDGING_FIELDS]
    if unknown:
        raise BadResults(f"{fields.at(unknown[0])}: unknown; there is {', '.join(JUDGING_FIELDS)}")
    said = fields.text("better")
    if said not in list(Better):
        raise BadResults(f"{fields.at('better')}: expected {' or '.join(Better)}, got {said!r}")
    better, primary = Better(said), fields.flag("primary", default=False)
    min_effect = fields.optional_number("min_effect")
    if min_effect is None:
        return Judging(better, primary)
    try:
        return Judging(better, primary, min_effect)
    except ValueError as error:
        raise BadResults(f"{fields.at('min_effect')}: {error}") from None
