from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.network.toxic import ToxicFault
from pytest_fleetq.faults.settings import number


@dataclass
class Slicer(ToxicFault):
    """What is said arrives in pieces of `average_size` bytes, give or take `size_variation`, and
    `delay` microseconds between them."""

    name = "slicer"
    average_size: int = number(64, low=1)
    size_variation: int = number(32)
    delay: float = number(10.0)

    def __post_init__(self) -> None:
        if self.size_variation >= self.average_size:
            raise ValueError(
                f"size_variation={self.size_variation} must be below "
                f"average_size={self.average_size}"
            )

    def attributes(self) -> Mapping[str, float]:
        return {
            "average_size": self.average_size,
            "size_variation": self.size_variation,
            "delay": self.delay,
        }
