"""What stores that speak SQL share: the rules, with statements named here and written by each."""
