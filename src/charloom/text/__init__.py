"""Characters to ids, and encoded text on disk."""
