"""What people wrote is sealed: questions, documents, generated pairs, and the texts of knowledge bases.

Texts become bytes behind twelve zero bytes, which is how plain ones are told, and are sealed where the settings name a key file.
"""
# ruff: noqa: S608 - names of tables and columns are the revision's own

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from loopwright.sealed_columns import seal_rows
from loopwright.sealing import KeyFile
from loopwright.settings import CommonSettings

revision = "dataset_0008"
down_revision = "dataset_0007"
branch_labels = None
depends_on = None

SCHEMA = "dataset"
_PLAIN = r"'\x000000000000000000000000'::bytea"
_MARK_BYTES = 12
_DOCUMENT = "jsonb_build_object('text', text, 'headings', headings, 'page_starts', page_starts)::text"
# (table, column, what it holds as text)
_CHANGED = (
    ("questions", "question", "question"),
    ("documents", "name", "name"),
    ("documents", "title", "title"),
    ("generation_chunks", "headings", "array_to_json(headings)::text"),
    ("generation_chunks", "pairs", "pairs::text"),
    ("knowledge_entries", "title", "title"),
    ("knowledge_entries", "text", "text"),
)
_SEALED = {
    "questions": (("dataset_id", "question_sha256"), ("question",)),
    "documents": (("document_id",), ("name", "title", "content")),
    "generation_chunks": (("generation_id", "number"), ("headings", "pairs")),
    "knowledge_entries": (("entry_id",), ("title", "text")),
}


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("key_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema=SCHEMA,
    )
    op.add_column("documents", sa.Column("content", sa.LargeBinary), schema=SCHEMA)
    op.execute(f"UPDATE {SCHEMA}.documents SET content = {_PLAIN} || convert_to({_DOCUMENT}, 'UTF8')")
    op.alter_column("documents", "content", nullable=False, schema=SCHEMA)
    for column in ("text", "headings", "page_starts"):
        op.drop_column("documents", column, schema=SCHEMA)
    for table, column, text in _CHANGED:
        op.alter_column(
            table,
            column,
            type_=sa.LargeBinary,
            postgresql_using=f"{_PLAIN} || convert_to({text}, 'UTF8')",
            schema=SCHEMA,
        )
    op.alter_column("generation_chunks", "pairs", nullable=True, schema=SCHEMA)
    key_file = CommonSettings().storage_keys_file
    if key_file is not None:
        for table, (keys, columns) in _SEALED.items():
            seal_rows(op.get_bind(), KeyFile(key_file), table, schema=SCHEMA, keys=keys, columns=columns)


def downgrade() -> None:
    """Brings texts back that lie plain; sealed ones stay as they are and so forbid it."""
    connection = op.get_bind()
    if connection.scalar(sa.text(f"SELECT count(*) FROM {SCHEMA}.data_keys")):
        raise RuntimeError("texts are sealed under data keys, and an older release cannot read them")
    for table, column, _ in _CHANGED:
        kind, cast = _BEFORE.get((table, column), (sa.Text(), "{}"))
        text = f"convert_from(substr({column}, {_MARK_BYTES + 1}), 'UTF8')"
        if column == "pairs":
            text = f"coalesce({text}, '[]')"
        if column != "headings":
            op.alter_column(table, column, type_=kind, postgresql_using=cast.format(text), schema=SCHEMA)
    _restore_headings()
    _restore_documents()
    op.alter_column("generation_chunks", "pairs", nullable=False, schema=SCHEMA)
    op.drop_table("data_keys", schema=SCHEMA)


_BEFORE = {("generation_chunks", "pairs"): (JSONB(), "({})::jsonb")}
_OPENED = f"convert_from(substr({{}}, {_MARK_BYTES + 1}), 'UTF8')::jsonb"


def _restore_headings() -> None:
    """An array cannot be made in the `USING` of a change of type, which allows no query."""
    op.add_column("generation_chunks", sa.Column("paths", ARRAY(sa.Text)), schema=SCHEMA)
    opened = _OPENED.format("headings")
    op.execute(f"UPDATE {SCHEMA}.generation_chunks SET paths = ARRAY(SELECT jsonb_array_elements_text({opened}))")
    op.drop_column("generation_chunks", "headings", schema=SCHEMA)
    op.alter_column("generation_chunks", "paths", new_column_name="headings", nullable=False, schema=SCHEMA)


def _restore_documents() -> None:
    for column, kind in (("text", sa.Text()), ("headings", JSONB()), ("page_starts", ARRAY(sa.Integer))):
        op.add_column("documents", sa.Column(column, kind), schema=SCHEMA)
    opened = _OPENED.format("content")
    op.execute(
        f"UPDATE {SCHEMA}.documents SET text = ({opened})->>'text', headings = ({opened})->'headings', page_starts ="
        f" ARRAY(SELECT value::int FROM jsonb_array_elements_text(({opened})->'page_starts') AS value)"
    )
    for column in ("text", "headings", "page_starts"):
        op.alter_column("documents", column, nullable=False, schema=SCHEMA)
    op.drop_column("documents", "content", schema=SCHEMA)
