"""The guard as a service: HTTP on one side, one thread that judges on the other."""
