"""MLflow as a view of the files that DVC keeps. Only this package imports MLflow.

The import takes three seconds, so it is done inside the functions that need it.

A run is found by its content, which is in three of its tags: train_key, model_digest and evaluate_key. No output of a
stage depends on MLflow. If the tracker (the MLflow store or server) fails, the user gets one warning and loses no
result.
"""
