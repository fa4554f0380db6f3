"""Agent Worker configuration as verified git bundles, resolved under a host policy."""

__version__ = "0.2.0.dev0"
