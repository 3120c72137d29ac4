"""A real PostgreSQL for tests: the one that is given, or one from a wheel."""
