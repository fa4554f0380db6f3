"""Agent Worker configuration as verified git bundles, resolved under a host policy."""

__version__ = "0.1.0"
