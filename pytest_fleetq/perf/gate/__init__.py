"""`fleetq gate`: whether a commit made a benchmark worse, told apart from noise."""
