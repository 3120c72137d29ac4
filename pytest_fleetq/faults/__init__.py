"""Faults that tests inject into a cluster: a small class each, found by name."""
