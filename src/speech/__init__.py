"""Speech features: log-mel, F0, voice conversion, windows."""
