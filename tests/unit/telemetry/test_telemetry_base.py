from pathlib import Path

import pytest

from tensordyno.errors import UnknownName
from tensordyno.telemetry.base import SOURCES, open_sources


def test_the_catalogue_lists_sources_and_no_shared_code():
    assert SOURCES.names() == (
        *("cpu", "disk", "infiniband", "memory", "network", "nvml", "process", "rapl", "replay"),
    )


def test_every_member_bears_its_files_name():
    for source in open_sources():
        assert SOURCES.module(source.name).MEMBER is type(source)


def test_all_sources_but_the_replay_or_those_named():
    assert {source.name for source in open_sources()} == set(SOURCES.names()) - {"replay"}
    assert [source.name for source in open_sources(["disk", "cpu"])] == ["disk", "cpu"]


def test_a_misspelt_source_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="no sensor called 'nvlm'") as refusal:
        open_sources(["nvlm"])
    assert "nvml" in refusal.value.remedy


def test_a_recording_is_named_with_its_file(tmp_path):
    recording = Path(__file__).parents[2] / "gold" / "nvml_h200.jsonl"
    (source,) = open_sources([f"replay:{recording}"])
    assert {channel.device for channel in source.open()} == {"gpu0"}
    source.close()
