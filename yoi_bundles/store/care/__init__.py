"""What a repository needs over the years: verified, mended after damage, recovered, rid of garbage.

`StoreError` and its kin leave it; what is merely found wrong is reported. It never removes what a
ref still reaches, and takes nothing into a repository that does not hash to its name.
"""
