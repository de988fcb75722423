"""When an account was closed; its row stays, so that the log goes on naming who it was."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Every account of before is open."""
    op.add_column("users", sa.Column("closed_at", sa.String(), nullable=True))
