"""The version of this package, below everything that says it."""

VERSION = "0.2.0.dev0"
"""As PEP 440 writes versions."""
