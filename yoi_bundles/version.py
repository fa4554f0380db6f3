"""The version of this package, below everything that says it.

A module of its own with a plain text in it, as the build backend reads it without an import.
"""

VERSION = __version__ = "0.2.0.dev0"
"""As PEP 440 writes versions."""
