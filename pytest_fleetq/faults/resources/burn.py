"""Computes nothing, as hard as it can, on one CPU: `python burn.py CPU`. Ends when told to."""

import os
import sys


def main() -> None:
    os.sched_setaffinity(0, {int(sys.argv[1])})
    while True:
        pass


if __name__ == "__main__":
    main()
