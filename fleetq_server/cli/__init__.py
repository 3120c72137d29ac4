"""The command line, `fleetq`: each command in the module `lazy.BUILT_IN` names."""
