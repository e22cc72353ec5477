"""Measure the model and simpler models on the test split, for the stages evaluate and baselines."""
