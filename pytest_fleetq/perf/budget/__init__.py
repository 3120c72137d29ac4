"""`perf_budget`: thresholds on what a test measured."""
