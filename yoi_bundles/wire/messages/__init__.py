"""What is said over HTTP, as values: requests, replies, roles, problem documents.

`InvalidInputError` leaves it for a message that says what it may not. It opens no connection, and
no message has a field for a host path or a secret value.
"""
