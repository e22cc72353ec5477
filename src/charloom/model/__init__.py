"""The network, its device, saved models, and the two uses of a model: to score text and to draw samples."""
