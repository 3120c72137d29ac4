"""What can go wrong with measured results.

PerfError
├── BadResults      a file that is no results, or results with a field that is wrong
├── Incomparable    results of different machines, or of different work
└── NoData          nothing that could be judged came out of a benchmark
"""


class PerfError(Exception):
    """Results could not be read, compared or had."""


class BadResults(PerfError):
    """Names the file and the field."""


class Incomparable(PerfError):
    pass


class NoData(PerfError):
    pass
