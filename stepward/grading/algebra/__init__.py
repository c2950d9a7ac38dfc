"""Equivalence by math-verify (sympy), in worker processes that can be killed."""
