"""Thin adapters round outside models."""


class Unavailable(Exception):
    """An outside model cannot run here; the message is one line that says why."""
