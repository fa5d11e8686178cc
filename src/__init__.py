"""MakeItTalk in rooms: audio, features, landmarks, frames, file."""
