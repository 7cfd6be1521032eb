"""Pictures and films for the documentation: ``python -m experiments.gallery.{environments,episodes,planning}``."""
