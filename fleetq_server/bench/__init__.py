"""`fleetq bench`: what a fleet does on this machine, beside what its store could do at most."""
