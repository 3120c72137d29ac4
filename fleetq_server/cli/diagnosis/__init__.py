"""The checks of `fleetq doctor`."""
