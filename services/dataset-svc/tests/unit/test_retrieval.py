"""Search terms, hashed vectors, fusion, and figures of quality."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_svc.domain.texts.hashed_embeddings import DIMENSIONS, embed
from dataset_svc.domain.texts.morphemes import Morpheme, needs_analysis, stem, terms_of
from dataset_svc.domain.texts.retrieval import Ranked, fuse, quality_of, query_literal, vector_literal


def ranking(*names):
    return [Ranked(entry_id=name, score=1.0) for name in names]


class TestTerms:
    def test_particles_endings_and_vague_words_are_no_terms(self):
        morphemes = [
            Morpheme("서버", "NNG"),
            Morpheme("가", "JKS"),
            Morpheme("멈추", "VV"),
            Morpheme("었", "EP"),
            Morpheme("하", "VV"),
        ]
        assert terms_of("서버가 멈추었다", morphemes) == ("서버", "멈추")

    def test_an_irregular_verb_counts_as_one(self):
        assert terms_of("서버를 고쳐", [Morpheme("돕", "VV-I")]) == ("돕",)

    def test_identifiers_are_found_whole_and_in_parts(self):
        assert terms_of("Node-07 SDA1 ＶＰＮ", ()) == ("node-07", "node", "07", "sda1", "sda", "vpn")

    @pytest.mark.parametrize(
        ("word", "expected"),
        [("queries", "query"), ("servers", "server"), ("status", "status"), ("class", "class"), ("stopping", "stop"),
         ("restarted", "restart"), ("configure", "configur"), ("configured", "configur"), ("was", "was"), ("red", "red")],
    )  # fmt: skip
    def test_english_stems(self, word, expected):
        assert stem(word) == expected

    def test_only_korean_needs_the_analyser(self):
        assert [needs_analysis(text) for text in ("VPN down 7", "서버 down")] == [False, True]


class TestHashedVectors:
    def test_are_the_same_in_every_process(self):
        vector = embed("프린터 오류", ("프린터", "오류"))
        assert vector.shape == (DIMENSIONS,)
        assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-6)
        place = int(np.argmax(np.abs(vector)))
        assert (place, round(float(vector[place]), 4)) == (133, 0.5774)

    def test_like_texts_are_closer_than_others(self):
        one, like, other = (
            embed(text, terms.split())
            for text, terms in (
                ("프린터 용지 걸림", "프린터 용지 걸리"),
                ("프린터에 용지가 걸렸어요", "프린터 용지 걸리"),
                ("급여 명세서 발급", "급여 명세서 발급"),
            )
        )
        assert float(one @ like) > 0.4
        assert float(one @ other) < 0.15

    def test_nothing_has_no_direction(self):
        assert not embed("?!", ()).any()


class TestFusion:
    def test_follows_the_published_formula(self):
        fused = fuse([ranking("a", "b"), ranking("b", "c")])
        assert [one.entry_id for one in fused] == ["b", "a", "c"]
        assert fused[0].score == pytest.approx(1 / 62 + 1 / 61)

    @given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True), max_size=4))
    def test_holds_each_entry_once_and_one_ranking_keeps_its_order(self, rankings):
        fused = [one.entry_id for one in fuse([ranking(*names) for names in rankings])]
        assert sorted(fused) == sorted({name for names in rankings for name in names})
        for names in rankings:
            assert [one.entry_id for one in fuse([ranking(*names)])] == names


class TestQuality:
    def test_agrees_with_figures_by_hand(self):
        quality = quality_of([(["x", "a", "y", "b"], {"a", "b"}), (["c"], {"c"})], cutoffs=(2, 4))
        assert quality.recall == {2: pytest.approx(0.75), 4: pytest.approx(1.0)}
        assert quality.mrr == pytest.approx(0.75)
        ideal = 1 + 1 / math.log2(3)
        assert quality.ndcg[4] == pytest.approx(((1 / math.log2(3) + 1 / math.log2(5)) / ideal + 1) / 2)

    def test_nothing_found_is_zero(self):
        quality = quality_of([([], {"a"})], cutoffs=(5,))
        assert (quality.recall[5], quality.mrr, quality.ndcg[5]) == (0, 0, 0)


class TestLiterals:
    def test_terms_keep_their_places_and_their_quotes(self):
        assert vector_literal(["a'b", "c\\d", "a'b"]) == r"'a''b':1,3 'c\\d':2"

    def test_a_query_asks_for_each_term_once_and_is_bounded(self):
        assert query_literal(["b", "a", "b", "c"], most=2) == "'b' | 'a'"
