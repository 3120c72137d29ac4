"""The suites that travel with FLEET-Q, and the command that runs them."""
