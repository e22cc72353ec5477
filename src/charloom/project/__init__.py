"""Making the folders in which the pipeline runs: a new project for a user, and a copy for the demo and the tests."""
