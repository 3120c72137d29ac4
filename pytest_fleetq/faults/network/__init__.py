"""Faults between clients and pods, and between pods."""
