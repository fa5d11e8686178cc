"""From landmarks to frames: pictures read, cropped, drawn, warped or translated."""
