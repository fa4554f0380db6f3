"""Bare SHA-256 repositories, bundle files, verified receive; the only user of dulwich."""
