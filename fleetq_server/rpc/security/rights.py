"""Which roles may call which rpc: the one table. What is not in it, only an admin may call."""

from collections.abc import Mapping

from fleetq_server.errors import Forbidden
from fleetq_server.rpc.security.tokens import Principal, Role

ADMIN = frozenset({Role.ADMIN})
SUBMIT = ADMIN | {Role.SUBMIT}
WORK = ADMIN | {Role.WORK}

RIGHTS: Mapping[str, frozenset[Role]] = {
    "/fleetq.v1.StepService/SubmitSteps": SUBMIT,
    "/fleetq.v1.StepService/GetStep": SUBMIT,
    "/fleetq.v1.StepService/ListSteps": SUBMIT,
    "/fleetq.v1.StepService/WaitSteps": SUBMIT,
    "/fleetq.v1.StepService/CancelSteps": SUBMIT,
    "/fleetq.v1.ClaimService/ClaimSteps": WORK,
    "/fleetq.v1.ClaimService/CompleteSteps": WORK,
    "/fleetq.v1.ClaimService/FailSteps": WORK,
    "/fleetq.v1.ClaimService/ReleaseSteps": WORK,
    "/fleetq.v1.HeartbeatService/Beat": WORK,
    "/fleetq.v1.FleetService/ListPods": ADMIN,
    "/fleetq.v1.FleetService/GetLeader": ADMIN,
    "/fleetq.v1.FleetService/DrainPod": ADMIN,
    "/fleetq.v1.FleetService/GetStats": ADMIN,
    "/fleetq.v1.FleetService/PauseQueue": ADMIN,
    "/fleetq.v1.FleetService/ResumeQueue": ADMIN,
    "/fleetq.v1.FleetService/ListDeadSteps": ADMIN,
    "/fleetq.v1.FleetService/RedriveSteps": ADMIN,
    "/fleetq.v1.FleetService/PurgeSteps": ADMIN,
    "/fleetq.v1.FleetService/WatchEvents": ADMIN,
}

# Probes have no token; it tells whether a pod serves, and nothing of what.
OPEN = "/grpc.health.v1.Health/"


def check_right(principal: Principal, method: str) -> None:
    """Raises: Forbidden."""
    wanted = RIGHTS.get(method, ADMIN)
    if not wanted & principal.roles:
        raise Forbidden(
            f"{principal.name} has the role {' and '.join(sorted(principal.roles))}; "
            f"this call needs {' or '.join(sorted(wanted))}"
        )
