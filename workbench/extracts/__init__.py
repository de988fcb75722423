"""Request → minimised, pseudonymized, sealed and inspected package with its manifest."""
