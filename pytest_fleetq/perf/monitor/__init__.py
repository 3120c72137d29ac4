"""Watching a running fleet: its pods, its queues, and the machine."""
