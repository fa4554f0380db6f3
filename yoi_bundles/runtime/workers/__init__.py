"""From a request to a Worker: resolved under the policy in force, kept by id, ready to launch.

`PolicyDeniedError` leaves it with every refusal at once, and errors of the caller. Paths and
secret values are looked up at launch alone, and are in no spec, decision or answer before.
"""
