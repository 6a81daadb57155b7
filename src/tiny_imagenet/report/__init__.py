"""What the results say: numbers, words, pictures and the page."""
