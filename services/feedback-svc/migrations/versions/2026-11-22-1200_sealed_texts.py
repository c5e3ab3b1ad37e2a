"""What people said is sealed: conversations, remarks, lessons, upstream records, and notes of reviews.

JSON becomes bytes behind twelve zero bytes, which is how plain ones are told, and is sealed where the settings name a key file. What
queries asked of it becomes columns: whether an answer refuses, the trace of a rating, and the hash of what a sample claims.
"""
# ruff: noqa: S608 - names of tables and columns are the revision's own

import sqlalchemy as sa
from alembic import op

from loopwright.sealed_columns import seal_rows
from loopwright.sealing import KeyFile
from loopwright.settings import CommonSettings

revision = "feedback_0009"
down_revision = "feedback_0008"
branch_labels = None
depends_on = None

SCHEMA = "feedback"
# how refusals began by the rules of this revision
_CANNOT = r"i( (can['’]?t|cannot|can not|am unable to|am not able to|won['’]?t)|['’]m (unable|not able) to)"
_DO = r"(be able to )?(help|assist|answer|provide|comply|fulfil|do that|support|discuss|share that|create|generate)"
_SORRY_KOREAN = r"((죄송|미안|유감)[^.!?\n]{0,20}[.!?]\s*)?"
_OPENINGS = (
    r"(i['’]?m|i am) (very |really |so )?sorry,? (but|i)",
    rf"(sorry|unfortunately|i apologi[sz]e),? (but )?{_CANNOT}",
    rf"{_CANNOT} {_DO}",
    r"i must (decline|refuse)",
    rf"as an ai( language)? model,? ({_CANNOT}|i (do not|don['’]?t|am))",
    r"(죄송|미안|유감)[^.!?\n]{0,60}(없|어렵|불가|않)",
    rf"{_SORRY_KOREAN}[^.!?\n]{{0,40}}(드릴|도와 ?줄|답(변)?(을|해)? ?(줄|할)) 수(는|가|도)? ?없",
    rf"{_SORRY_KOREAN}[^.!?\n]{{0,40}}(드리지 ?(는 )?못|드리기(는|가)? ?(어렵|힘들|곤란))",
    r"저는 (ai|인공지능)[^.!?\n]{0,40}(없|않)",
)
_REFUSAL = r"^[\s*_#>\"'“‘]*(" + "|".join(_OPENINGS) + ")"


_MARK_BYTES = 12
_PLAIN = r"'\x000000000000000000000000'::bytea"
_SAID = "coalesce({0} ->> 'input', {0} ->> 'messages', {0} ->> 'answer')"
_REMARKED = "json_build_object('comment', remarks ->> 'comment', 'correction', remarks ->> 'correction')"
_OPENED = f"convert_from(substr({{}}, {_MARK_BYTES + 1}), 'UTF8')"
# (table, column, what it holds as text, where it holds anything)
_CHANGED = (
    ("inferences", "content", "content::text", _SAID.format("content") + " IS NOT NULL"),
    (
        "ratings",
        "remarks",
        f"{_REMARKED}::text",
        "coalesce(remarks ->> 'comment', remarks ->> 'correction') IS NOT NULL",
    ),
    ("samples", "lesson", "lesson::text", "true"),
    ("upstream_records", "content", "content::text", "content::text <> 'null'"),
    ("sample_reviews", "note", "note", "note IS NOT NULL"),
)
_SEALED = {
    "inferences": (("inference_id",), "content"),
    "ratings": (("rating_id",), "remarks"),
    "samples": (("sample_id",), "lesson"),
    "upstream_records": (("origin", "kind", "record_id"), "content"),
    "sample_reviews": (("review_id",), "note"),
}


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("key_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema=SCHEMA,
    )
    _keep_what_queries_need()
    for table, column, text, said in _CHANGED:
        if column != "lesson":
            op.alter_column(table, column, nullable=True, schema=SCHEMA)
        op.alter_column(
            table, column, type_=sa.LargeBinary, schema=SCHEMA,
            postgresql_using=f"CASE WHEN {said} THEN {_PLAIN} || convert_to({text}, 'UTF8') END",
        )  # fmt: skip
    key_file = CommonSettings().storage_keys_file
    if key_file is not None:
        for table, (keys, column) in _SEALED.items():
            seal_rows(op.get_bind(), KeyFile(key_file), table, schema=SCHEMA, keys=keys, columns=(column,))


def _keep_what_queries_need() -> None:
    op.add_column("inferences", sa.Column("refuses", sa.Boolean), schema=SCHEMA)
    op.add_column("ratings", sa.Column("traceparent", sa.Text), schema=SCHEMA)
    op.add_column("samples", sa.Column("claim", sa.Text), schema=SCHEMA)
    judge = sa.text(
        f"UPDATE {SCHEMA}.inferences SET refuses = content ->> 'answer' ~* :refusal"
        " WHERE content ->> 'answer' IS NOT NULL"
    )
    op.get_bind().execute(judge, {"refusal": _REFUSAL})
    op.execute(f"UPDATE {SCHEMA}.ratings SET traceparent = remarks ->> 'traceparent'")
    op.execute(
        f"UPDATE {SCHEMA}.samples SET claim = encode(sha256(convert_to(lesson ->> 'answer', 'UTF8')), 'hex')"
        " WHERE collected_from IS NOT NULL"
    )


def downgrade() -> None:
    """Brings texts back that lie plain; sealed ones stay as they are and so forbid it."""
    if op.get_bind().scalar(sa.text(f"SELECT count(*) FROM {SCHEMA}.data_keys")):
        raise RuntimeError("texts are sealed under data keys, and an older release cannot read them")
    remarks = _OPENED.format("remarks") + "::json ->> '{0}'"
    before = {
        "inferences": f"coalesce({_OPENED.format('content')}, '{{}}')::json",
        "ratings": f"json_build_object('comment', {remarks.format('comment')}, 'correction',"
        f" {remarks.format('correction')}, 'traceparent', traceparent)",
        "samples": f"{_OPENED.format('lesson')}::json",
        "upstream_records": f"coalesce({_OPENED.format('content')}, 'null')::json",
        "sample_reviews": _OPENED.format("note"),
    }
    for table, (_, column) in _SEALED.items():
        kind = sa.Text() if table == "sample_reviews" else sa.JSON()
        op.alter_column(table, column, type_=kind, postgresql_using=before[table], schema=SCHEMA)
        if table != "sample_reviews":
            op.alter_column(table, column, nullable=False, schema=SCHEMA)
    for table, column in (("inferences", "refuses"), ("ratings", "traceparent"), ("samples", "claim")):
        op.drop_column(table, column, schema=SCHEMA)
    op.drop_table("data_keys", schema=SCHEMA)
