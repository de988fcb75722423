"""The app's own data: users, documents by digest, their states, jobs and the audit log."""
