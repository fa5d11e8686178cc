"""The portrait itself, warped to moving landmarks."""
