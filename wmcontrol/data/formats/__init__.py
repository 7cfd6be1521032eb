"""Readers and writers of the layouts in which trajectories lie on disk."""
