"""Training a model: the loop, the batches, the checkpoints, the history, and training in several processes."""
