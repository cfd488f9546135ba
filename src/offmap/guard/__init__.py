"""The guard: predict, or refuse with a reason, at a false-alarm rate that is guaranteed."""
