"""Concepts: sets of them, how often each is used, search by words and codes."""
