"""Landmarks to frames."""
