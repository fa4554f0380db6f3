"""What every test may rely on."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# One deterministic profile: a failing example is found again by everybody, and a slow machine
# is no failure.
settings.register_profile(
    "project",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")
