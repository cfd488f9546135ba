"""A package of somebody else, with one measure for offmap."""
