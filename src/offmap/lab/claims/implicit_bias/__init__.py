"""What training prefers without being told."""
