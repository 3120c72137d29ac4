"""Many records on their way to the fleet, and what became of each."""

import re
import uuid
from collections.abc import Iterable, Iterator

import click

from fleetq_server.cli.output import data_text, outcome_document, print_json
from fleetq_server.cli.records import Defaults, Line, batches, parse_line
from fleetq_server.client import Client, StepOutcome
from fleetq_server.errors import FleetError, IdempotencyConflict, InvalidArgument
from fleetq_server.model import NewStep, Submitted

MOST_ITEMS = 1000
MOST_BYTES = 2 * 1024 * 1024

_PLACE = re.compile(r"^steps\[(\d+)\]\.?")

Numbered = tuple[int, NewStep]
Outcome = tuple[int, Submitted | FleetError]


class Submission:
    """Submits, tells of every line, and counts. `keep` remembers the ids for `wait`; `numbered`
    says whether there are lines at all."""

    def __init__(
        self,
        client: Client,
        *,
        name: str,
        as_json: bool,
        ids: bool,
        keep: bool,
        numbered: bool = True,
    ) -> None:
        self.submitted = 0
        self.duplicates = 0
        self.bad = 0
        self._client = client
        self._name = name
        self._numbered = numbered
        self._as_json = as_json
        self._ids = ids
        self._keep = keep
        self._kept: dict[str, int] = {}  # line by step id

    def add_lines(self, lines: Iterable[Line], defaults: Defaults) -> None:
        steps: list[Numbered] = []
        outcomes: list[Outcome] = []
        for line in lines:
            try:
                step = parse_line(line, defaults)
            except InvalidArgument as error:
                outcomes.append((line.number, error))
            else:
                steps.extend([(line.number, step)] if step is not None else [])
        self.add(steps, outcomes)

    def add(self, steps: list[Numbered], known: Iterable[Outcome] = ()) -> None:
        """Submits these steps, and tells of them and of the lines `known` to be bad, in order."""
        waiting = sorted(known, key=_line, reverse=True)
        for batch in batches(steps, MOST_ITEMS, MOST_BYTES):
            for line, outcome in self._submit(batch):
                while waiting and waiting[-1][0] < line:
                    self._tell(*waiting.pop())
                self._tell(line, outcome)
        while waiting:
            self._tell(*waiting.pop())

    def _submit(self, batch: list[Numbered]) -> list[Outcome]:
        try:
            return sorted(submit_batch(self._client, batch), key=_line)
        except FleetError as error:
            if self._as_json:
                for line, _ in batch:
                    print_json({"line": line, "error": _described(error)})
            elif self._numbered:
                first, last = batch[0][0], batch[-1][0]
                told = f"lines {first} to {last} were not acknowledged, later ones were not sent"
                click.echo(f"{self._name}: {told}", err=True)
            raise

    def wait(self, timeout: float) -> None:
        """Tells how the steps ended; those that did not complete count as bad."""
        for outcome in self._client.as_ended(self._kept, timeout=timeout):
            self._tell_end(outcome)
        for step_id, line in self._kept.items():
            self.bad += 1
            if self._as_json:
                print_json({"line": line, "step_id": step_id, "state": None})
            else:
                click.echo(f"{self._at(line)}: step {step_id} has not ended", err=True)

    def summary(self) -> None:
        if self._as_json:
            return
        again = f", {self.duplicates} of them known already" if self.duplicates else ""
        bad = f", {self.bad} bad" if self.bad else ""
        steps = "step" if self.submitted == 1 else "steps"
        click.echo(f"{self.submitted} {steps} submitted{again}{bad}", err=True)

    def _tell(self, line: int, outcome: Submitted | FleetError) -> None:
        if isinstance(outcome, FleetError):
            self.bad += 1
            if self._as_json:
                print_json({"line": line, "error": _described(outcome)})
            else:
                click.echo(f"{self._at(line)}: {outcome}", err=True)
            return
        self.submitted += 1
        self.duplicates += outcome.deduplicated
        step_id = str(outcome.step_id)
        if self._keep:
            self._kept[step_id] = line
        if self._as_json:
            print_json({"line": line, "step_id": step_id, "deduplicated": outcome.deduplicated})
        elif self._ids and not self._keep:
            click.echo(step_id)

    def _tell_end(self, outcome: StepOutcome) -> None:
        line = self._kept.pop(outcome.step_id)
        self.bad += not outcome.ok
        if self._as_json:
            print_json({"line": line, **outcome_document(outcome)})
        elif outcome.ok:
            click.echo(f"{outcome.step_id}  {data_text(outcome.data)}".rstrip())
        else:
            click.echo(f"{self._at(line)}: {outcome.describe()}", err=True)

    def _at(self, line: int) -> str:
        return f"{self._name}:{line}" if self._numbered else self._name


def submit_batch(client: Client, batch: list[Numbered]) -> Iterator[Outcome]:
    """Submits a batch that fits into one request. The fleet takes all of it or nothing and names
    the first record it refuses, so that one is set aside and the others are sent again."""
    left = list(batch)
    while left:
        try:
            # With an id of its own the request is sent as it is, never split or merged.
            answers = client.submit_steps([step for _, step in left], request_id=uuid.uuid4().hex)
        except (InvalidArgument, IdempotencyConflict) as error:
            place = _place(error, left)
            if place is None:
                raise
            yield left.pop(place)[0], _own(error)
        else:
            yield from ((line, answer) for (line, _), answer in zip(left, answers, strict=True))
            return


def _place(error: FleetError, batch: list[Numbered]) -> int | None:
    """Which of the batch the error is about."""
    if isinstance(error, IdempotencyConflict):
        # The last one, because the conflict may be with an earlier record of the same batch; by
        # its beginning, because long keys are cut on the way back.
        keys = [step.idempotency_key or "" for _, step in batch]
        places = [i for i, key in enumerate(keys) if error.key and key.startswith(error.key)]
        return places[-1] if places else None
    match = _PLACE.match(error.field) if isinstance(error, InvalidArgument) else None
    return int(match[1]) if match and int(match[1]) < len(batch) else None


def _own(error: FleetError) -> FleetError:
    """The error without the record's place in the batch, which its line replaces."""
    if isinstance(error, InvalidArgument):
        return InvalidArgument(_PLACE.sub("", error.field) or "line", error.problem)
    return error


def _described(error: FleetError) -> dict[str, object]:
    field = {"field": error.field} if isinstance(error, InvalidArgument) else {}
    return {"type": type(error).__name__, **field, "message": str(error)}


def _line(outcome: Outcome) -> int:
    return outcome[0]
