"""What the plugin itself costs, measured by `fleetq bench`."""
