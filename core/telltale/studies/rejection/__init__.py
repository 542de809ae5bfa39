"""Attacks at growing budgets, and how many get past the classifier and the fused verdict."""
