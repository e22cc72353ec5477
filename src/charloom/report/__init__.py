"""What a person looks at: pictures, tables, samples, and the page that holds it all."""
