"""The clients of both servers, bounded: downloads that go on, token files, one error an answer.

`TransportError` (with ``is_retryable``) leaves it, and the error that the other side answered. It
never reads more of an answer than it may be, and never sends a token anywhere but to its own
server.
"""
