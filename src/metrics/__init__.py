"""Measures of landmarks and of finished videos."""
