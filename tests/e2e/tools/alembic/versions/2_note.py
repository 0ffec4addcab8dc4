import sqlalchemy as sa
from alembic import op

revision, down_revision = "2", "1"


def upgrade():
    op.add_column("@TABLE@", sa.Column("note", sa.String(100)))


def downgrade():
    op.drop_column("@TABLE@", "note")
