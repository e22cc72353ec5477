"""Gets a corpus from its source, reads the file formats, and writes the two CSV files that later stages read."""
