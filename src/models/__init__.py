"""The networks, and which weights they run with."""
