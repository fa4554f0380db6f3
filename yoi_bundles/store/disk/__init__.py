"""A repository's files: objects, refs, history, quarantine, and the order they are written in.

`StoreError` and its kin leave it: damage, a full disk, a lost race. Nothing it writes is visible
before it is whole and synced, and it knows nothing of what a bundle means.
"""
