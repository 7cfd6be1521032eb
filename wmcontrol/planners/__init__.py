"""Planners: minimise ``cost(actions)``. They know a cost, a start and bounds, and nothing else."""
