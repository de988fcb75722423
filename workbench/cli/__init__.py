"""The command line: one file a group of verbs, all of them over the services."""
