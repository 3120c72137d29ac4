"""Who led when."""

from collections.abc import Iterator

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding


class OneLeaderPerTerm:
    """A term has one leader, whoever is asked, and terms only grow."""

    name = "one_leader_per_term"
    needs_journal = False

    def check(self, history: History, _context: Context) -> Iterator[Finding]:
        known: dict[int, tuple[str, int]] = {}  # term → its leader, and the line that says so
        newest = 0
        newest_line = 0
        for event in history.fleet:
            if event.type != "leader" or event.term is None:
                continue
            yield from _agree(known, event.term, event.holder or "", event.line)
            if event.term < newest:
                problem = f"term {event.term} began after term {newest}"
                yield Finding(problem, lines=(newest_line, event.line))
            if event.term > newest:
                newest, newest_line = event.term, event.line
        for term, holder, line in history.leaders:
            yield from _agree(known, term, holder, line)


def _agree(
    known: dict[int, tuple[str, int]], term: int, holder: str, line: int
) -> Iterator[Finding]:
    other, other_line = known.setdefault(term, (holder, line))
    if other != holder:
        problem = f"term {term} has two leaders: {other} and {holder}"
        yield Finding(problem, lines=(other_line, line))
