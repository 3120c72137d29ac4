"""`fleetq pods`, `fleetq leader`, `fleetq drain`."""

import time

import click

from fleetq_server.cli.connect import connect
from fleetq_server.cli.failure import NO
from fleetq_server.cli.options import Target, fleet_options, target_of
from fleetq_server.cli.output import iso, pod_document, print_json, print_pairs, print_table
from fleetq_server.client import Client, Pod
from fleetq_server.errors import InvalidArgument, NotFound
from fleetq_server.model import HolderStatus


@click.command("pods")
@click.option("--all", "include_ended", is_flag=True, help="Also those that died or left.")
@fleet_options
@target_of
def pods(target: Target, include_ended: bool) -> None:
    """List pods and workers, eldest first."""
    with connect(target) as client:
        found = client.pods(include_ended=include_ended)
    if target.as_json:
        print_json({"pods": [pod_document(pod) for pod in found]})
        return
    headings = ("pod", "name", "type", "status", "address", "running", "beat", "born", "leader")
    print_table(headings, (_row(pod) for pod in found))


@click.command("leader")
@fleet_options
@target_of
@click.pass_context
def leader(ctx: click.Context, target: Target) -> None:
    """Show who leads, its term, and since when. Exit code 1 while nobody does."""
    with connect(target) as client:
        found = client.leader()
    if target.as_json:
        print_json({"pod_id": found.holder_id, "term": found.term, "since": iso(found.since)})
    else:
        who = found.holder_id or "nobody"
        print_pairs((("leader", who), ("term", found.term), ("since", iso(found.since))))
    ctx.exit(0 if found.holder_id else NO)


@click.command("drain")
@click.argument("pod_id")
@fleet_options
@target_of
def drain(target: Target, pod_id: str) -> None:
    """Ask a pod or worker to claim no more, finish what it runs, and end.

    POD_ID may be the beginning of an id, or a name, if that is clear.
    """
    with connect(target) as client:
        found = _find(client, pod_id)
        client.drain(found)
    if target.as_json:
        print_json({"pod_id": found, "draining": True})
    else:
        click.echo(f"{found} drains")


def _find(client: Client, text: str) -> str:
    living = (HolderStatus.LIVE, HolderStatus.DRAINING)
    pods = [pod for pod in client.pods() if pod.status in living]
    fitting = [pod.pod_id for pod in pods if pod.pod_id.startswith(text) or pod.name == text]
    if not text or not fitting:
        raise NotFound("pod", text)
    if len(fitting) > 1 and text not in fitting:
        raise InvalidArgument("POD_ID", f"{text!r} may be any of {', '.join(fitting)}")
    return text if text in fitting else fitting[0]


def _row(pod: Pod) -> tuple[object, ...]:
    return (
        pod.pod_id,
        pod.name,
        pod.type,
        pod.status,
        pod.address,
        pod.running,
        f"{max(0.0, time.time() - pod.beat_at):.1f} s ago",
        iso(pod.born_at),
        "leader" if pod.leader else "",
    )
