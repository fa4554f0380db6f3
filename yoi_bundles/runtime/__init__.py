"""Receiving, trust, host policy loading, secrets and the worker catalog."""
