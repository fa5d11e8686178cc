"""The networks, their sizes, and loading of their weights."""
