"""The 68 landmarks: topology, geometry, registration, detection."""
