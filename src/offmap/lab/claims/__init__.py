"""The claims, one file each, in the folder of their subject."""
