"""What a test's history and its pods tell: latencies, rates, recoveries, what they used."""
