"""A worker that breaks every rule of the protocol, to see whether that is noticed."""

import json
import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import grpc

from fleetq_server.pb import claim_service_pb2 as claims_pb
from fleetq_server.pb import heartbeat_service_pb2 as beats_pb
from fleetq_server.pb.claim_service_pb2_grpc import ClaimServiceStub
from fleetq_server.pb.heartbeat_service_pb2_grpc import HeartbeatServiceStub

ADDRESS = os.environ["FLEET_Q_ADDRESS"]
HOLDER = f"always-the-same-{ADDRESS.rpartition(':')[2]}"
BEAT = 0.2

channel: Any = grpc.insecure_channel(ADDRESS, options=[("grpc.enable_http_proxy", 0)])
claims: Any = ClaimServiceStub(channel)
beats: Any = HeartbeatServiceStub(channel)


def run(claim: claims_pb.Claim) -> None:
    payload = json.loads(claim.payload)
    time.sleep(payload.get("seconds", 0))
    with suppress(grpc.RpcError):
        if "fail" in payload:
            failure = claims_pb.Failure(claim_token=claim.claim_token, error="Oops")
            claims.FailSteps(claims_pb.FailStepsRequest(failures=[failure]))
        else:
            completion = claims_pb.Completion(claim_token=claim.claim_token)
            claims.CompleteSteps(claims_pb.CompleteStepsRequest(completions=[completion]))


def beat() -> None:
    while True:
        with suppress(grpc.RpcError):
            beats.Beat(beats_pb.BeatRequest(holder_id=HOLDER))
        time.sleep(BEAT)


signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=beat, daemon=True).start()
while True:
    with suppress(grpc.RpcError):
        request = claims_pb.ClaimStepsRequest(holder_id=HOLDER, kinds=["work"], max_steps=4)
        for granted in claims.ClaimSteps(request).claims:
            threading.Thread(target=run, args=[granted], daemon=True).start()
    time.sleep(0.01)
