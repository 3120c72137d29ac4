"""Clusters of real processes: how they start, when they are ready, how they all end."""
