"""What one process keeps on disk for the next: files that may vanish, believed only if ours.

A failure to write is a `StoreError`; what cannot be read or believed counts as not there. Nothing
that is kept here is ever the only copy of anything, and no verdict outlives the rules it was made
under.
"""
