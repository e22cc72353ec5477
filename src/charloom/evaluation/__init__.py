"""What is measured of a model and of the simpler models that it is compared with."""
