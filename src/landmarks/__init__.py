"""Facial landmarks: found on a portrait, moved by a voice, brought back to pixels."""
