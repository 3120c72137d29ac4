"""Faults of the disk below a pod."""
