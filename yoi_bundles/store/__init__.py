"""Bare SHA-256 repositories, bundle files, verified receive and checkouts; the only user of dulwich."""
