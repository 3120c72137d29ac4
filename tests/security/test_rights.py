"""Who may call what: the table, and real pods that go by it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from fleetq_server.client import Client
from fleetq_server.errors import ConfigError, Forbidden, Unauthorized
from fleetq_server.rpc.security.rights import RIGHTS, check_right
from fleetq_server.rpc.security.tokens import Principal, Role, file_line, new_token
from tests.cluster.fleet import Pod, Pods, until
from tests.cluster.launch import ForkServer
from tests.security.calls import BOUND, RPCS, answer, bearer, empty, raw
from tests.security.conftest import Keyring


def test_every_rpc_of_every_service_is_in_the_table_and_nothing_else() -> None:
    assert set(RIGHTS) == set(RPCS)


def test_an_admin_may_call_everything_and_what_is_not_in_the_table_nobody_else() -> None:
    everybody = {role: Principal("p", frozenset({role})) for role in Role}
    for method in (*RPCS, "/fleetq.v1.NewService/NewRpc"):
        check_right(everybody[Role.ADMIN], method)
    for role in (Role.SUBMIT, Role.WORK):
        with pytest.raises(Forbidden, match="this call needs admin"):
            check_right(everybody[role], "/fleetq.v1.NewService/NewRpc")


def test_no_role_but_admin_has_both_ends_of_a_step() -> None:
    submit = {method for method, roles in RIGHTS.items() if Role.SUBMIT in roles}
    work = {method for method, roles in RIGHTS.items() if Role.WORK in roles}
    assert not submit & work
    assert {method.split("/")[1] for method in submit} == {"fleetq.v1.StepService"}
    assert "/fleetq.v1.ClaimService/CompleteSteps" in work


# --- one real pod for the rest ------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rights")


@pytest.fixture(scope="module")
def tokens(folder: Path) -> dict[str, str]:
    made = {role.value: new_token() for role in Role}
    lines = [file_line(f"the-{role}", [Role(role)], token) for role, token in made.items()]
    (folder / "tokens").write_text("\n".join(lines))
    return made


@pytest.fixture(scope="module")
def pod(folder: Path, tokens: dict[str, str], fork_server: ForkServer) -> Iterator[Pod]:
    fleet = Pods(folder, fork_server.launch)
    (folder / "fleetq.toml").write_text("reflection = true")
    try:
        yield fleet.start("", tokens=folder / "tokens", config=folder / "fleetq.toml")
    finally:
        fleet.end()


@pytest.fixture(scope="module")
def channel(pod: Pod) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(pod.address) as channel:
        yield channel


@pytest.mark.parametrize("method", RPCS)
def test_without_a_token_that_counts_nothing_is_answered(
    channel: grpc.Channel, method: str
) -> None:
    refused = grpc.StatusCode.UNAUTHENTICATED
    assert answer(channel, method, empty(method)) is refused
    for value in ("", "Bearer", "Bearer ", "Basic dTpw", f"Bearer {new_token()}", "x" * 5000):
        assert answer(channel, method, empty(method), ("authorization", value)) is refused


@pytest.mark.parametrize("method", RPCS)
def test_a_token_opens_what_the_table_says(
    channel: grpc.Channel, tokens: dict[str, str], method: str
) -> None:
    forbidden = grpc.StatusCode.PERMISSION_DENIED
    for role in Role:
        met = answer(channel, method, empty(method), bearer(tokens[role]))
        assert met is not grpc.StatusCode.UNAUTHENTICATED
        assert (met is forbidden) == (role not in RIGHTS[method]), (role, met)


def test_probes_need_no_token(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service="fleetq.v1.StepService")
    assert stub.Check(request, timeout=BOUND).status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_is_an_admins(channel: grpc.Channel, tokens: dict[str, str]) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="*")

    def ask(*metadata: tuple[str, str]) -> int:
        answers = stub.ServerReflectionInfo(iter([request]), timeout=BOUND, metadata=metadata)
        return len(next(answers).list_services_response.service)

    assert ask(bearer(tokens["admin"])) > 4
    assert refusal(ask) == "UNAUTHENTICATED"
    assert refusal(lambda: ask(bearer(tokens["submit"]))) == "PERMISSION_DENIED"


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    name: str = error.code().name
    return name


def test_an_rpc_that_is_none_is_unimplemented_for_an_admin_and_forbidden_to_others(
    channel: grpc.Channel, tokens: dict[str, str]
) -> None:
    nothing = raw(channel).unary_unary("/fleetq.v1.Nothing/Nix")

    def ask(role: str) -> str:
        return refusal(lambda: nothing(b"", BOUND, [bearer(tokens[role])]))

    assert (ask("admin"), ask("work")) == ("UNIMPLEMENTED", "PERMISSION_DENIED")


def test_the_client_shows_its_token_and_is_told_what_it_lacks(
    pod: Pod, tokens: dict[str, str]
) -> None:
    with Client(pod.address, token=tokens["submit"]) as client:
        assert client.submit("k", [1, 2]) != []
        with pytest.raises(Forbidden, match=r"the-submit has the role submit; .* needs admin"):
            client.stats()
    with Client(pod.address, token=tokens["admin"]) as client:
        assert next(client.events(after=0)).seq == 1
    with Client(pod.address) as client, pytest.raises(Unauthorized, match="wants a token"):
        client.submit("k", [1])


def test_a_token_is_replaced_while_both_ends_run(pods: Pods, keyring: Keyring) -> None:
    old = keyring.add("ops", Role.ADMIN)
    shown = keyring.file.with_name("shown")
    shown.write_text(old)
    pod = pods.start("", tokens=keyring.file)
    client = pods.client(pod, token=shown)
    client.leader()
    new = keyring.file.read_text(), keyring.add("ops", Role.ADMIN)
    only_new = keyring.file.read_text().removeprefix(new[0])
    until(lambda: lets_in(pods, pod, new[1]), "the new token counts", BOUND)
    assert lets_in(pods, pod, old)
    for half_written in ("", "fq_ half", "\xe9"):
        shown.write_text(half_written)
        client.leader()
    shown.write_text(f"{new[1]}\n")
    keyring.file.write_text(only_new)
    until(lambda: not lets_in(pods, pod, old), "the old token counts no longer", BOUND)
    client.leader()


def lets_in(pods: Pods, pod: Pod, token: str) -> bool:
    try:
        pods.client(pod, token=token).leader()
    except Unauthorized:
        return False
    return True


def test_a_slip_in_the_file_shuts_nobody_out(pods: Pods, keyring: Keyring) -> None:
    client = pods.client(
        pod := pods.start("", tokens=keyring.file), token=keyring.add("ops", Role.ADMIN)
    )
    until(lambda: _let_in(client), "the token counts", BOUND)
    with keyring.file.open("a") as lines:
        lines.write("ops admin fq_secret\n")
    until(lambda: _let_in(client) and pod.said("kept what was read before"), "it is told", BOUND)
    assert "line 2" in pod.said("kept what was read before")[0]["cause"]
    assert _let_in(client)
    assert "fq_secret" not in pod.log_path.read_text()


def _let_in(client: Client) -> bool:
    try:
        client.leader()
    except Unauthorized:
        return False
    return True


def test_a_client_sends_no_token_in_the_clear() -> None:
    with pytest.raises(ConfigError, match=r"10\.0\.0\.1:80 would travel in the clear"):
        Client("127.0.0.1:1,10.0.0.1:80", token="fq_x")
    Client("10.0.0.1:80", token="fq_x", allow_insecure=True).close()


def test_a_file_without_a_token_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "shown"
    with pytest.raises(ConfigError, match=f"file {file}: No such file"):
        Client("127.0.0.1:1", token=file)
    for text in ("", "two words", "\xe9"):
        file.write_text(text)
        with pytest.raises(ConfigError, match=f"file {file}: is not"):
            Client("127.0.0.1:1", token=file)


@pytest.mark.parametrize("token", ["", " ", "two words", "tab\there", "ümlaut"])
def test_what_is_no_token_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError, match="is not one token") as caught:
        Client("127.0.0.1:1", token=token)
    assert not token.strip() or token not in str(caught.value)
