"""Hydra's configuration: a YAML file for each command, and a folder for each config group."""
