"""SQL and nothing else: databases, credentials, many writers in one transaction, repair.

Out of it come `StoreError` and its kin for the database, `UnauthenticatedError` for a token. It
knows no HTTP and no git, and no token is ever stored, only its hash.
"""
