"""Files of a tree to a checked Bundle, or findings with file, line, code and hint; pure."""
