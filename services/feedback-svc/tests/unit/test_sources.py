"""Sources: what records teach, what they do not and why, in whatever order they come."""

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import JsonValue, ValidationError

from feedback_svc.domain.sources.catalogue import KINDS, SOURCES, Misfit, read_record
from feedback_svc.domain.sources.source import Filtered, Group, Heard, Outcome, Source, Teaching
from loopwright.contracts.base import JsonObject

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def heard(kind: str, record: JsonValue, *, record_id: str = "r1", days_ago: float = 0) -> Heard:
    return Heard(
        kind=kind, record_id=record_id, published_at=NOW - timedelta(days=days_ago), said=read_record(kind, record)
    )


def outcomes(source: str, *records: Heard, options: JsonObject | None = None, **group: object) -> list[Outcome]:
    chosen: Source = SOURCES[source]
    whole = Group(key="k1", heard=records, **group)  # pyright: ignore[reportArgumentType]
    return list(chosen.teach(whole, chosen.read_options(options or {}), NOW))


def only(found: list[Outcome]) -> Teaching:
    (one,) = found
    assert isinstance(one, Teaching), one
    return one


def reason(found: list[Outcome]) -> str:
    (one,) = found
    assert isinstance(one, Filtered), one
    return one.reason


class TestKnowledgeAssistant:
    def record(self, rating: float) -> Heard:
        return heard("knowledge.rated", {"query": "연차는 며칠?", "answer": "15일", "rating": rating})

    def test_an_answer_rated_four_or_better_is_learned(self) -> None:
        found = only(outcomes("knowledge-assistant", self.record(4)))
        assert (found.input, found.answer, found.weight_0_1) == ("연차는 며칠?", "15일", 0.8)
        assert found.origin.records == ("knowledge.rated/r1",)

    def test_a_worse_one_is_not(self) -> None:
        assert reason(outcomes("knowledge-assistant", self.record(3.9))) == "rated-too-low"


class TestServiceRequests:
    RECORD: JsonObject = {  # noqa: RUF012 - a constant
        "title": "VPN", "description": "접속이 끊깁니다.", "resolution": "클라이언트를 다시 설치함", "category": "네트워크",
    }  # fmt: skip

    def teach(self, options: JsonObject | None = None, *, days_ago: float = 0, **changes: JsonValue) -> list[Outcome]:
        record = heard("service-desk.resolved", self.RECORD | changes, days_ago=days_ago)
        return outcomes("service-requests", record, options=options)

    def test_title_and_description_ask_and_the_resolution_answers(self) -> None:
        found = only(self.teach())
        assert (found.input, found.answer) == ("VPN\n\n접속이 끊깁니다.", "클라이언트를 다시 설치함")
        assert found.metadata == {"category": "네트워크"}

    def test_a_structured_answer_uses_the_names_of_the_task(self) -> None:
        options: JsonObject = {"answer": "json", "categories": {"네트워크": "network"}}
        found = only(self.teach(options))
        assert found.answer == '{"category":"network","reply":"클라이언트를 다시 설치함"}'
        assert reason(self.teach(options, category="총무")) == "category-unknown"
        assert reason(self.teach(options, category=None)) == "category-unknown"

    def test_only_the_last_thirty_days_teach(self) -> None:
        assert only(self.teach(days_ago=30))
        assert reason(self.teach(days_ago=30.1)) == "too-old"
        assert reason(self.teach(resolved_at=(NOW - timedelta(days=31)).isoformat())) == "too-old"

    def test_only_what_was_resolved_teaches(self) -> None:
        assert reason(self.teach(status="open")) == "not-resolved"
        assert only(self.teach(status="Closed"))


REASONED: JsonObject = {
    "incident_id": "INC-1", "alert_name": "DiskFull", "evidence": "/var is at 99 %", "reasoning": "Logs filled it.",
    "risk": "low",
}  # fmt: skip
REPAIRED: JsonObject = {"incident_id": "INC-1", "playbook": "clean-logs", "steps": ["rotate", "compress"]}
VERIFIED: JsonObject = {
    "incident_id": "INC-1", "verification_result": "success", "summary": "/var is at 40 %", "schema_version": "2",
    "collected_at": "2026-11-21T00:00:00Z",
}  # fmt: skip


def incident(**changes: JsonObject) -> list[Heard]:
    parts = {"reasoned": REASONED, "repaired": REPAIRED, "verified": VERIFIED}
    return [
        heard(f"incident.{name}", part | changes.get(name, {}), record_id=name[0])
        for name, part in parts.items()
        if changes.get(name, part) != {}
    ]


class TestIncidentEvidence:
    def test_joins_the_three_records_in_every_order(self) -> None:
        found = [only(outcomes("incident-evidence", *order)) for order in itertools.permutations(incident())]
        assert len(found) == 6
        assert all(one == found[0] for one in found)
        assert found[0].input == "DiskFull\n\n/var is at 99 %"
        assert found[0].answer == "Logs filled it.\n\nclean-logs:\n1. rotate\n2. compress\n\n/var is at 40 %"
        assert found[0].metadata == {
            "incident": "k1", "alert_name": "DiskFull", "result": "success", "schema_version": "2",
            "collected_at": "2026-11-21T00:00:00+00:00", "playbook": "clean-logs",
        }  # fmt: skip

    def test_a_structured_answer_is_cause_steps_and_risk(self) -> None:
        found = only(outcomes("incident-evidence", *incident(), options={"answer": "json"}))
        assert json.loads(found.answer) == {"cause": "Logs filled it.", "steps": ["rotate", "compress"], "risk": "low"}

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"verified": {"verification_result": "failure"}}, "not-successful"),
            ({"verified": {"summary": "  "}}, "no-summary"),
            ({"verified": {"collected_at": "2026-11-15T11:59:59Z"}}, "too-old"),
            ({"repaired": {"executed": False}}, "repair-not-executed"),
            ({"reasoned": {}}, "waits-for-reasoning"),
            ({"repaired": {}}, "waits-for-repair"),
            ({"verified": {}}, "waits-for-verification"),
        ],
    )
    def test_learns_nothing_else(self, changes: dict[str, JsonObject], why: str) -> None:
        assert reason(outcomes("incident-evidence", *incident(**changes))) == why

    def test_a_later_failure_takes_a_success_back(self) -> None:
        earlier = [Heard(**{**_fields(one), "published_at": NOW - timedelta(hours=1)}) for one in incident()]
        later = heard("incident.verified", VERIFIED | {"verification_result": "failure"}, record_id="v2")
        assert reason(outcomes("incident-evidence", *earlier, later)) == "not-successful"


def _fields(one: Heard) -> dict[str, object]:
    return {name: getattr(one, name) for name in ("kind", "record_id", "published_at", "said", "batch", "subjects")}


class TestLogBatches:
    def teach(self, aspect: str, *entries: JsonValue, **options: JsonValue) -> list[Outcome]:
        batch = Heard(kind="application", record_id="b1", published_at=NOW, batch=entries)
        return outcomes("log-batches", batch, options={"aspect": aspect, **options})

    @pytest.mark.parametrize(
        ("aspect", "judgement", "answer"),
        [
            ("sentiment", {"sentiment": "negative"}, '{"sentiment":"negative"}'),
            ("anomaly", {"anomaly": True}, '{"anomaly_status":"alert"}'),
            ("anomaly", {"anomaly_status": "normal"}, '{"anomaly_status":"normal"}'),
            ("summary", {"summary": "A disk filled up."}, "A disk filled up."),
        ],
    )
    def test_each_task_learns_its_own_aspect(self, aspect: str, judgement: JsonObject, answer: str) -> None:
        entry: JsonObject = {"message": "disk full", "expert_label": judgement}
        assert only(self.teach(aspect, entry)).answer == answer
        other = "summary" if aspect == "sentiment" else "sentiment"
        assert reason(self.teach(other, entry)) == "unlabelled"

    def test_an_expert_is_believed_before_a_correction(self) -> None:
        both: JsonObject = {"message": "m", "expert": {"anomaly": False}, "corrected": {"anomaly": True}}
        assert only(self.teach("anomaly", both)).answer == '{"anomaly_status":"normal"}'
        assert only(self.teach("anomaly", {"message": "m", "corrected_analysis": {"anomaly": True}})).answer == (
            '{"anomaly_status":"alert"}'
        )

    def test_an_entry_that_cannot_be_read_stops_no_other(self) -> None:
        good: JsonObject = {"message": "m", "expert": {"anomaly": True}}
        found = self.teach("anomaly", {"expert": {"anomaly": True}}, {"level": "INFO"}, None, good)
        assert [one.reason if isinstance(one, Filtered) else one.key for one in found] == [
            "refused", "unlabelled", "b1:3",
        ]  # fmt: skip

    def test_other_types_of_log_are_left_alone(self) -> None:
        assert reason(self.teach("anomaly", {"message": "m"}, types=["syslog"])) == "other-type"

    def test_whom_an_entry_names_is_whom_the_sample_is_of(self) -> None:
        entry: JsonObject = {"message": "m", "expert": {"anomaly": True}, "user": {"unit_hash": "u7"}}
        assert only(self.teach("anomaly", entry)).origin.subjects == {"u7"}


def label(large: str, *, by: str | None, days_ago: float = 0, problem: str | None = "1+1=?") -> Heard:
    labels: JsonObject = {"대분류": large, "중분류": "덧셈", "하위 분류": "한 자리"}
    record: JsonObject = {"problem_id": "p1", "correct_labels": labels, "rater": by, "problem": problem}
    return heard("label.corrected", record, record_id=f"{by}-{large}-{days_ago}", days_ago=days_ago)


class TestLabelCorrections:
    def winner(self, *records: Heard, **reliability: float) -> str:
        found = only(outcomes("label-corrections", *records, reliability_0_1=reliability))
        return str(json.loads(found.answer)["대분류"])

    def test_three_levels_are_the_answer(self) -> None:
        found = only(outcomes("label-corrections", label("수", by="a")))
        assert found.answer == '{"대분류":"수","중분류":"덧셈","하위 분류":"한 자리"}'
        assert (found.input, found.rater, found.weight_0_1) == ("1+1=?", "a", 1.0)

    def test_the_more_reliable_rater_wins(self) -> None:
        records = [label("수", by="a", days_ago=2), label("식", by="b", days_ago=1)]
        for order in (records, records[::-1]):
            assert self.winner(*order, a=0.9, b=0.4) == "수"
            assert self.winner(*order, a=0.4, b=0.9) == "식"

    def test_among_equals_the_newest_wins(self) -> None:
        assert self.winner(label("수", by="a", days_ago=2), label("식", by="b", days_ago=1)) == "식"

    def test_an_old_vote_weighs_less(self) -> None:
        assert self.winner(label("수", by="a", days_ago=400), label("식", by="b"), a=0.9, b=0.4) == "식"

    def test_a_rater_has_one_vote_and_all_without_a_name_have_one(self) -> None:
        crowd = [label("식", by="b", days_ago=day) for day in (1, 2, 3)]
        assert self.winner(label("수", by="a"), *crowd, a=0.9, b=0.5) == "수"
        nameless = [label("식", by=None, days_ago=day / 10) for day in range(30)]
        assert self.winner(label("수", by="a"), *nameless, a=0.9) == "수"

    def test_the_problem_is_found_in_earlier_data_or_in_the_inference(self) -> None:
        bare = label("수", by="a", problem=None)
        assert reason(outcomes("label-corrections", bare)) == "waits-for-problem"
        known = heard("label.problem", {"problem_id": "p1", "text": "2+3=?"}, record_id="p1")
        assert only(outcomes("label-corrections", bare, known)).input == "2+3=?"
        assert reason(outcomes("label-corrections", known)) == "waits-for-labels"
        named = heard(
            "label.corrected",
            {"problem_id": "p1", "inference_id": "inf-1",
             "correct_labels": {"대분류": "수", "중분류": "덧셈", "하위 분류": "한 자리"}},
        )  # fmt: skip
        assert only(outcomes("label-corrections", named, inputs={"inf-1": "4+4=?"})).input == "4+4=?"


class TestRecords:
    def test_every_kind_is_read_by_one_source(self) -> None:
        assert sorted(kind for source in SOURCES.values() for kind in source.schemas) == list(KINDS)

    @pytest.mark.parametrize(
        ("kind", "record", "field"),
        [
            ("knowledge.rated", {"query": "q", "answer": "a", "rating": 9}, "rating"),
            ("knowledge.rated", {"query": " ", "answer": "a", "rating": 5}, "query"),
            ("service-desk.resolved", {"title": "t"}, "description"),
            ("incident.repaired", REPAIRED | {"steps": []}, "steps"),
            ("label.corrected", {"problem_id": "p", "correct_labels": {"대분류": "수"}}, "correct_labels.중분류"),
            ("label.corrected", None, "record"),
        ],
    )
    def test_a_misfit_is_refused_with_the_field_and_without_its_words(
        self, kind: str, record: JsonValue, field: str
    ) -> None:
        with pytest.raises(Misfit, match=field):
            read_record(kind, record)
        with pytest.raises(Misfit) as refused:
            read_record("knowledge.rated", {"query": "my secret", "answer": {"deep": "secret"}, "rating": "secret"})
        assert "secret" not in str(refused.value)

    def test_unknown_options_are_refused(self) -> None:
        with pytest.raises(ValidationError):
            SOURCES["log-batches"].read_options({})
        with pytest.raises(ValidationError):
            SOURCES["incident-evidence"].read_options({"anwser": "json"})
