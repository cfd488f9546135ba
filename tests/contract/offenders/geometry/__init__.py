"""Each of them breaks one law, and no other."""
