"""Clusters of real processes: how they start, when they are ready, and that none outlives its test."""
