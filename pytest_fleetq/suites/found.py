"""Where the suites are: in a checkout under `tests`, otherwise beside this file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_fleetq.suites.errors import NoSuites

_INTEGRATION, _PERFORMANCE = "test_integration_suite.py", "test_performance_load.py"
FILES: Mapping[str, tuple[str, ...]] = {
    "all": (_INTEGRATION, _PERFORMANCE),
    "integration": (_INTEGRATION,),
    "performance": (_PERFORMANCE,),
}
INI = "pytest.integration.ini"


@dataclass(frozen=True, slots=True)
class Suites:
    root: Path  # where pytest runs
    ini: Path
    folder: Path

    def files(self, suite: str) -> list[Path]:
        return [self.folder / name for name in FILES[suite]]


def find_suites(start: Path) -> Suites:
    """Those of the checkout that `start` lies in, or else the installed ones.

    Raises: NoSuites.
    """
    for folder in (start, *start.parents):
        if (folder / INI).is_file() and _complete(folder / "tests"):
            return Suites(folder, folder / INI, folder / "tests")
    here = Path(__file__).parent
    if not ((here / INI).is_file() and _complete(here)):
        raise NoSuites(f"no suites in {start} or above, and none were installed in {here}")
    return Suites(start, here / INI, here)


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES["all"])
