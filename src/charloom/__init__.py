"""Character-level language models as a reproducible, cached, tracked pipeline."""
