"""Bundles on this host: received, trusted, accepted or refused, remembered, cared for.

Errors of the sender leave it, `PolicyDeniedError` of the host, `StoreError` of this disk. Nothing
is accepted that the host's trust rules refuse, and a workspace never moves back.
"""
