"""The output airlock's automatic checks: pure functions from a file, its declaration and the rows it was made of."""
