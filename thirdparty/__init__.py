"""Thin adapters round outside models."""
