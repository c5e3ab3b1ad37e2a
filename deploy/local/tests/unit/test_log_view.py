from pathlib import Path

import pytest

from loopwright_local.logview import LogView


def a_view(folder: Path, *, follow: bool = True, quiet: bool = False) -> LogView:
    return LogView(folder, ("kafka", "postgres"), follow=follow, quiet=quiet)


class TestLogView:
    def test_prefixes_every_line_with_its_part(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        view = a_view(tmp_path)
        (tmp_path / "kafka.log").write_text("one\ntwo\n")
        (tmp_path / "postgres.log").write_text("three\n")
        view.catch_up()
        view.close()
        assert capsys.readouterr().out == "kafka    | one\nkafka    | two\npostgres | three\n"

    def test_waits_for_the_end_of_a_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        view = a_view(tmp_path)
        log = tmp_path / "kafka.log"
        log.write_text("first\nhal")
        view.catch_up()
        assert capsys.readouterr().out == "kafka    | first\n"
        with log.open("a") as file:
            file.write("f\n")
        view.catch_up()
        view.close()
        assert capsys.readouterr().out == "kafka    | half\n"

    def test_shows_only_what_the_supervisor_says_unless_it_follows(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "kafka.log").write_text("one\n")
        view = a_view(tmp_path, follow=False)
        view.catch_up()
        view.say("kafka", "ready")
        view.close()
        assert capsys.readouterr().out == "kafka    | * ready\n"

    def test_shows_nothing_when_quiet(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "kafka.log").write_text("one\n")
        view = a_view(tmp_path, quiet=True)
        view.catch_up()
        view.say("kafka", "ready")
        view.close()
        assert capsys.readouterr().out == ""
