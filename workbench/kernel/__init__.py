"""Values without input or output: digests, errors, words, clock, settings, schemas."""
