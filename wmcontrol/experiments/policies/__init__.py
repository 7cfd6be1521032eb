"""Policies for collecting trajectories in our environments; each knows the state and the layout of one of them."""

from .registry import make_policy, policy_names

__all__ = ["make_policy", "policy_names"]
