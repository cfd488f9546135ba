"""A package of somebody else, with a measure and a score for offmap."""
