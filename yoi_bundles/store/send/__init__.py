"""Bundle files made: which objects somebody lacks, packed against what, written as a stream.

`StoreError` and its kin leave it. It never sends an object that the wanted commit does not reach,
and changes nothing in the repository.
"""
