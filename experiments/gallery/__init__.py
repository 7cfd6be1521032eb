"""For the documentation: ``python -m experiments.gallery.{environments,episodes,planning,proposals}``."""
