"""What a person looks at: the page report.html, pictures, tables and samples."""
