"""From a store to the addresses of its pods, as a person would ask for them."""

import json
import subprocess
import sys

from fleetq_server.errors import NoPodReachable

ASK_SECONDS = 15.0


def addresses_in(store: str | None) -> list[str]:
    """Of the pods registered in this store, a URL or the path of a SQLite file; None: in that of
    the settings in force.

    Raises: NoPodReachable.
    """
    words = [sys.executable, "-m", "fleetq_server.cli.main", "pods", "--json"]
    if store is not None:
        words += ["--store", store if "://" in store else f"sqlite:///{store}"]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=ASK_SECONDS)
    except subprocess.TimeoutExpired:
        raise NoPodReachable(f"asking for pods took more than {ASK_SECONDS:g} s") from None
    if told.returncode:
        raise NoPodReachable(_said(told.stderr) or f"no pod is registered in {store}")
    return [pod["address"] for pod in json.loads(told.stdout)["pods"] if pod["address"]]


def _said(text: str) -> str:
    last = text.strip().splitlines()[-1:]
    try:
        return str(json.loads(last[0])["error"]["message"]) if last else ""
    except (ValueError, KeyError, TypeError):
        return last[0].removeprefix("fleetq: ")
