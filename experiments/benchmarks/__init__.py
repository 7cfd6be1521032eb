"""What the library costs, measured: each module is a command, and explains itself.

``python -m experiments.benchmarks.planners --help``; ``make bench`` runs all of them.
"""
