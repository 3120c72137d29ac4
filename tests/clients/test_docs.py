"""The pages on clients and Kubernetes say what the protos, the checklist and the files say."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from fleetq_server.cli.main import main
from fleetq_server.pb import claim_service_pb2
from pytest_fleetq.conformance.rules import RULES
from tests.cluster.launch import ROOT

PAGES = [(ROOT / "docs" / name).read_text("utf-8") for name in ("protocol.md", "kubernetes.md")]
PAGE = PAGES[0]
PROTOS = sorted((ROOT / "protos/fleetq/v1").glob("*_service.proto"))
RPC = re.compile(r"((?:^  //.*\n)+)  rpc (\w+)", re.MULTILINE)
ERROR = re.compile(r"^  // ([A-Z_]+) / ([A-Z_, ]+):", re.MULTILINE)


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> dict[str, str]:
    found = re.findall(r"^\| ([\w-]+) \| ?(.*?) ?\|$", text, re.MULTILINE)
    return {name: cell for name, cell in found if name not in ("rpc", "rule", "outcome")}


def documented() -> Iterator[tuple[str, set[str]]]:
    """Each rpc with its errors, as its comment in the proto has them."""
    for file in PROTOS:
        for comment, rpc in RPC.findall(file.read_text()):
            errors = ERROR.findall(comment)
            yield rpc, {f"{code} / {word}" for code, words in errors for word in words.split(", ")}


def test_each_rpc_has_the_errors_of_its_proto() -> None:
    told = {
        rpc: set(filter(None, cell.split(", "))) for rpc, cell in rows(section("Errors")).items()
    }
    assert told == dict(documented())


def test_the_checklist_is_that_of_the_command() -> None:
    assert rows(section("Checklist")) == RULES


def test_each_outcome_is_told() -> None:
    values = set(claim_service_pb2.OutcomeCode.keys()) - {"OUTCOME_CODE_UNSPECIFIED"}
    assert set(rows(section("A worker's life"))) == values


def commands() -> Iterator[list[str]]:
    for block in re.findall(r"^```sh\n(.*?)^```$", "\n".join(PAGES), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line.partition(" > ")[0])
            if "--" in words and "exec" in words:  # kubectl exec POD -- COMMAND
                words = words[words.index("--") + 1 :]
            yield [word for word in words if not re.fullmatch(r"[A-Z_]+=.*", word)]


@pytest.mark.parametrize("words", [words for words in commands() if words[0] == "fleetq"])
def test_each_command_is_one(words: list[str]) -> None:
    command: click.Command = main
    words = words[1:]
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None
        command, words = found, words[1:]
    command.make_context("fleetq", words).close()


@pytest.mark.parametrize("words", [words for words in commands() if "node" in words])
def test_each_program_is_there(words: list[str]) -> None:
    program = words[words.index("node") + 1]
    assert (ROOT / program).exists()


def test_each_file_the_pages_name_is_there() -> None:
    for name in re.findall(r"\b(?:examples|ci|protos)/[\w./-]*\w", "\n".join(PAGES)):
        assert (ROOT / name).exists(), name
