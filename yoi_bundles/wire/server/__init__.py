"""What both servers share: middleware, authentication, guards, metrics, OpenAPI, start and end.

Every error becomes a problem document here; `InvalidInputError` and `StoreError` leave it only at
the start. It holds no data of a Backend or a Runtime.
"""
