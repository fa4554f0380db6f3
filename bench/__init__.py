"""Benchmarks: ratios against git in the same run, never absolute times."""
