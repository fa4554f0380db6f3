"""Publishing, visibility, registry and sync."""
