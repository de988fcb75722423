"""What the app, the command line and notebooks call: one verb a function.

Each takes the workbench and an actor, checks the policy, does the work and writes the audit log.
"""
