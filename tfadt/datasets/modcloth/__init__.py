"""ModCloth: ratings of clothes."""
