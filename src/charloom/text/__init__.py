"""Maps characters to ids, and keeps encoded text on disk."""
