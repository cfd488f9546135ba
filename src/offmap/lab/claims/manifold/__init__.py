"""Where data lies, and how dense it is there."""
