"""The same measurements over PostgreSQL, in schemas of their own of a given database."""
