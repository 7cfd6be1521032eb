"""Agents: close the loop between an environment and a planner, behind ``predict``."""
