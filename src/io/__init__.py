"""Files in and out: images, audio, video, checkpoints."""
