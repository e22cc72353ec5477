"""MLflow as a view of what DVC holds: nothing outside this package imports it, and here only what tracks a run does
(the import takes three seconds).

A run is found by content: its tags train_key, model_digest and evaluate_key. No output of a stage depends on it, and a
tracker that fails costs one warning and no result.
"""
