"""Answers made once for all servers: encoded responses, immutable files, who has to wait.

`StoreError` leaves it for a file that cannot be read, `TooManyRequestsError` for callers in a
hurry. It knows no route, and never answers a condition or a range otherwise than RFC 9110 says.
"""
