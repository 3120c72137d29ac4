"""The markers of the plugin, the same for every project."""
