"""Revisions made: content checked, commits signed by others compared byte for byte, news told.

Errors of the caller leave it, `RevisionConflictError` among them, and `StoreError`. It never makes
a commit that its check refused, and never moves a ref that another has moved meanwhile.
"""
