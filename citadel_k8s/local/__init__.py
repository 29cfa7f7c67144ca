"""The embedded stack: real servers and simulated nodes, for the demo and the tests."""
