"""Amazon-book: ratings of books."""
