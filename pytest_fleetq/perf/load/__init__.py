"""An open-loop load, from a process of its own."""
