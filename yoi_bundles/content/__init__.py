"""The files of a tree as a bundle, or findings with file, line, code and hint. Pure: no disk."""
