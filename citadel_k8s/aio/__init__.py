"""Time, loops and child processes; knows nothing of nodes."""
