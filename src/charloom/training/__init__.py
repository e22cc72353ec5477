"""Everything that trains a model: the loop, its batches, its checkpoints, its processes."""
