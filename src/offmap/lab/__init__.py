"""The laboratory: claims from deep-learning theory, and whether they hold."""
