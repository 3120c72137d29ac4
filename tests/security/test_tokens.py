"""The file of tokens: what counts, what is refused, and what is read again."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fleetq_server.cli.token import token as token_command
from fleetq_server.errors import ConfigError
from fleetq_server.rpc.security.tokens import Role, file_line, find, new_token, read_entries
from fleetq_server.rpc.security.watched import LOOK_SECONDS, Watched

HASH = "sha256:" + "0" * 64


def test_a_token_is_found_by_its_line_and_no_other_is() -> None:
    token = new_token()
    entries = read_entries(f"# people\n\n{file_line('ada', [Role.ADMIN], token)} # her\n", "f")
    found = find(entries, token)
    assert found is not None
    assert (found.name, set(found.roles)) == ("ada", {Role.ADMIN})
    for other in (new_token(), "", token[:-1], token + "x", token.upper()):
        assert find(entries, other) is None


def test_two_tokens_of_one_name_count_together() -> None:
    old, new = new_token(), new_token()
    lines = [file_line("video", [Role.WORK, Role.SUBMIT], token) for token in (old, new)]
    entries = read_entries("\n".join(lines), "f")
    assert find(entries, old) == find(entries, new)
    assert find(read_entries(lines[1], "f"), old) is None


def test_the_file_does_not_hold_the_token() -> None:
    token = new_token()
    assert token not in file_line("ada", [Role.ADMIN], token)
    assert len(token) > 40


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ada admin", "NAME ROLE"),
        (f"ada admin {HASH} more", "NAME ROLE"),
        (f"Ada admin {HASH}", "a name is"),
        (f"-a admin {HASH}", "a name is"),
        (f"{'a' * 33} admin {HASH}", "a name is"),
        (f"ada boss {HASH}", "roles are submit, work, admin"),
        (f"ada work,, {HASH}", "roles are"),
        ("ada work fq_hunter2", "the token itself must not"),
        ("ada work sha256:hunter2", "the token itself must not"),
    ],
)
def test_a_wrong_line_is_named_and_never_quoted(line: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape("file tokens, line 2: ")) as caught:
        read_entries(f"# first\n{line}\n", "file tokens")
    assert problem in str(caught.value)
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_text_is_entries_or_one_line(text: str) -> None:
    try:
        read_entries(text, "f")
    except ConfigError as refusal:
        problem = str(refusal)
    else:
        problem = ""
    assert problem.isprintable()


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self) -> None:
        self.now += LOOK_SECONDS


def test_a_changed_file_counts_soon_and_a_broken_one_not_at_all(tmp_path: Path) -> None:
    file, time = tmp_path / "f", Time()
    file.write_text("one")

    def read() -> str:
        text = file.read_text()
        if text == "broken":
            raise ConfigError("it is broken")
        return text

    watched = Watched((file,), read, monotonic=time)
    assert watched.value == "one"
    file.write_text("another")
    assert watched.value == "one"
    time.pass_by()
    assert watched.value == "another"
    file.write_text("broken")
    time.pass_by()
    assert watched.value == "another"
    file.unlink()
    time.pass_by()
    assert watched.value == "another"
    file.write_text("mended again")
    time.pass_by()
    assert watched.value == "mended again"


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"file {tmp_path}/f: No such file"):
        Watched((tmp_path / "f",), lambda: None)


def test_the_command_makes_tokens_that_its_file_knows(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# no newline at the end")
    arguments = ["new", "--name", "ci", "--role", "submit", "--append", str(file)]
    made = [CliRunner().invoke(token_command, arguments).output.strip() for _ in range(2)]
    entries = read_entries(file.read_text(), "f")
    assert {found.name for token in made if (found := find(entries, token))} == {"ci"}
    assert made[0] != made[1]
    assert len(entries) == 2
    shown = CliRunner().invoke(token_command, arguments[:5]).output
    token = re.search(r"fq_\S+", shown)
    assert token is not None
    assert find(read_entries(shown.rpartition(": ")[2], "f"), token[0]) is not None


def test_the_command_makes_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    arguments = ["new", "--name", "ci", "--role", "work", "--append", str(file)]
    assert CliRunner().invoke(token_command, arguments).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
