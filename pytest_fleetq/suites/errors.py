"""What can go wrong before a suite runs."""

import click


class NoSuites(click.ClickException):
    """There is nothing to run."""
