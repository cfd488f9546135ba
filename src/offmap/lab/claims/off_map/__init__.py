"""What networks do off the map."""
