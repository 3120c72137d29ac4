"""Fleets as those of tests/cluster, for clients that are not ours."""

from tests.cluster.conftest import fork_server, launcher, pods

__all__ = ["fork_server", "launcher", "pods"]
