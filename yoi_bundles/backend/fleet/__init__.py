"""Which Runtimes there are, what they hold and refused, and who may see what.

`BundleMissingError` leaves it for what is not there and for what is not to be seen alike, and
`StoreError`. It never shows a credential, an endpoint or a path in a view for a Browser.
"""
