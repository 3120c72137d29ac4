"""When two requests ask for the same cluster."""

from collections.abc import Mapping
from dataclasses import fields
from types import FunctionType

from pytest_fleetq.cluster.request import Request


def identity(request: Request) -> str:
    """The same text for the same request, in every process of a test run."""
    return repr([(field.name, _told(getattr(request, field.name))) for field in fields(request)])


def _told(value: object) -> object:
    if isinstance(value, Mapping):
        return sorted((repr(key), repr(_told(item))) for key, item in value.items())
    if isinstance(value, list | tuple):
        return [_told(item) for item in value]
    if isinstance(value, FunctionType):
        # By where it is written and what it knows: each call of a test makes its lambdas anew.
        known = [_told(cell.cell_contents) for cell in value.__closure__ or ()]
        code = value.__code__
        return [code.co_filename, list(code.co_positions()), known, repr(value.__defaults__)]
    return repr(value)
