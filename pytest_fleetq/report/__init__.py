"""What people look at: the bundle of a run, and the page that shows it."""
