"""Pure resolution: tree + selector + request + host policy to spec and decisions."""
