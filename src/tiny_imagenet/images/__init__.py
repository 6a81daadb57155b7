"""Reading and decoding of the records."""
