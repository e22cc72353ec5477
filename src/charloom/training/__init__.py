"""Everything that fits a model: the loop, its batches, its checkpoints, its processes."""
