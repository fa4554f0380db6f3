"""The ten steps of receive: from bytes in quarantine to a bundle that is held, or to a refusal.

Errors of the sender leave it, each with a code of its own, or `StoreError` for this disk. Nothing
is believed that was not checked, and before the last step nothing outside quarantine has changed.
"""
