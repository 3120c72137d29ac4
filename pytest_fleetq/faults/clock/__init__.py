"""Faults of one pod's clock."""
