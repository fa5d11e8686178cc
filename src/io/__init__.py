"""Reading and writing of images, audio, video, arrays and checkpoints."""
