"""Bare SHA-256 repositories, bundle files, verified receive, checkouts; the only user of dulwich."""
