"""How fast, how much, and whether it got worse."""
