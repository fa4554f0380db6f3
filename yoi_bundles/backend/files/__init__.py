"""Bundle files kept and handed out: built once for each pair of commits, ahead of time, pushed.

`BundleError`s of a push end in its outcome; `StoreError` and `TransportError` leave the rest.
Every file can be built again, so any may vanish; none is changed once it has its name.
"""
