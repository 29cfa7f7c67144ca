"""Settings: one frozen object per process, from a file, the environment and the command line."""
