"""Faults of a whole process."""
