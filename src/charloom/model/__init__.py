"""The network, and what it says about text: scores and samples."""
