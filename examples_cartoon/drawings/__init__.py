"""The six puppets, one module each: `landmarks`, `draw` and `background`."""
