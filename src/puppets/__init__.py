"""Cartoon puppets: their files, mesh and motion."""
