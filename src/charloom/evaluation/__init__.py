"""The stages baselines and evaluate: how well a model, and simpler models, predict the test split."""
