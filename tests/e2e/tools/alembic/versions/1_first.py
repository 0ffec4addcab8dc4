import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None


def upgrade():
    table = op.create_table("@TABLE@", sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
                            sa.Column("name", sa.String(64), nullable=False))
    op.bulk_insert(table, [{"id": i, "name": f"item {i}"} for i in range(1, 4)])


def downgrade():
    op.drop_table("@TABLE@")
