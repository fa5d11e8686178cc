"""The four networks: arrays of features in, displacements or pictures out."""
