"""The network, saved models, and what a model says about text: scores and samples."""
