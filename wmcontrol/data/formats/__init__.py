"""Readers of the layouts that trajectories come in."""
