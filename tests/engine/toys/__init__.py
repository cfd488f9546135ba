"""Measures that show what the engine gives them."""
