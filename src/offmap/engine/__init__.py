"""Where the work runs: tasks, their store, and the machines that perform them."""
