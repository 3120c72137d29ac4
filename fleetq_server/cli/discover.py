"""Finding a pod by the store all pods share."""

from fleetq_server.config import load_settings
from fleetq_server.errors import NoPodReachable
from fleetq_server.model import HolderStatus, HolderType
from fleetq_server.redaction import shown
from fleetq_server.store import open_reader

ANSWERING = (HolderStatus.LIVE, HolderStatus.DRAINING)


def pod_addresses(store: str | None) -> list[str]:
    """Addresses of the pods registered in this store, or in that of the settings in force.

    Raises:
        ConfigError: there is no such store.
        NoPodReachable: no pod is registered there.
    """
    url = load_settings({"store": store}).store
    reader = open_reader(url)
    try:
        holders = reader.holders()
    finally:
        reader.close()
    pods = [h for h in holders if h.type is HolderType.POD and h.address and h.status in ANSWERING]
    if not pods:
        raise NoPodReachable(f"no live pod is registered in {shown('store', url)}")
    return [pod.address for pod in sorted(pods, key=lambda pod: ANSWERING.index(pod.status))]
