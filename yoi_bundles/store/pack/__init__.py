"""Packs read in one pass and written: headers, deltas, tables of objects, the index.

`MalformedBundleError`, `TooLargeError` and their kin leave it for bytes that somebody sent. It
knows no repository and no refs, and never inflates more than its caps allow.
"""
