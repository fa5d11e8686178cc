"""Thin adapters of third-party models."""


class Unavailable(Exception):
    """A third-party model cannot run here; the message is one line with the reason."""
