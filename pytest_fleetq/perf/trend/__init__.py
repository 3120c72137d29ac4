"""`fleetq trend`: how figures went over the history of a branch."""
