"""The packaged models, made anew from nothing: ``python -m experiments.assets``."""
