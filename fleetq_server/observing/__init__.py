"""What a pod shows over HTTP to whoever watches it: metrics, and whether it lives and is ready."""
