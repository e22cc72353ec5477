"""MLflow as a view of the files that DVC keeps. Only this package imports MLflow.

The import of MLflow takes three seconds, so only the functions that need MLflow import it.

A run is found by three of its tags: train_key (a digest of what decides the training), model_digest (the SHA-256 of the
weights) and evaluate_key (a digest of what decides the evaluation).

No output of a stage depends on MLflow. If the tracker (the MLflow store or server) fails, the user gets one warning and
loses no result.
"""
