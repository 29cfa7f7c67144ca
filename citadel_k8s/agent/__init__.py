"""The process on each GPU node."""
