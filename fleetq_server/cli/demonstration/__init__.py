"""What `fleetq demo` is made of: files, a fleet that loses its leader, and the verdict."""
