"""One measure a file, in the folder of the question that it answers."""
