"""Names of one namespace, budgets, tickets, the queue of mails.

The column `username_folded` goes: whoever signs in is found by `name`. A process of the release
before reads that column, so this revision is one to stop for; none was released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "name",
        sa.Column("folded", sa.String(length=320), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("folded"),
    )
    op.create_index("name_user", "name", ["user_id"], unique=False)
    op.execute(
        'INSERT INTO name (folded, user_id, kind) SELECT username_folded, id, \'username\' FROM "user"'
    )
    with op.batch_alter_table("user") as batch:
        batch.drop_column("username_folded")
        batch.add_column(sa.Column("enroll_by", sa.BigInteger(), nullable=True))
    op.create_index("audit_user", "audit", ["user_id"], unique=False)
    op.create_table(
        "quota",
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("quota_ends", "quota", ["ends_at"], unique=False)
    op.create_table(
        "ticket",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("ticket_user", "ticket", ["user_id"], unique=False)
    op.create_table(
        "mail",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("because", sa.String(length=256), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("mail_due", "mail", ["due_at"], unique=False)
