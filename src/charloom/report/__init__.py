"""Show results to people: the page report.html, pictures, tables and samples."""
