"""Where articles come from: sources, file formats, and the two CSV files that the other rooms read."""
