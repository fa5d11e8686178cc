"""Speech features to moving landmarks."""
