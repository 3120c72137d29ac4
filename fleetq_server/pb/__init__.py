"""Modules generated from protos/ by ci/gen_protos.py; never edited."""
