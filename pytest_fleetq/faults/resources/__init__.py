"""Faults of what a pod needs from its machine."""
