"""The host's own word: policy file, secrets, plugin packages, signers, what may be believed.

`InvalidHostPolicyError`, `PolicyDeniedError` and `UntrustedSignatureError` leave it. It never
believes a file that others may write, and no secret value leaves it in a form that can be printed.
"""
