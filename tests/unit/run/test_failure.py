from tensordyno.run.failure import oom_kills


def test_the_kernels_own_count_is_read(tmp_path):
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 7\noom_kill 3\n")
    assert oom_kills(vmstat) == 3
    vmstat.write_text("nr_free_pages 7\n")
    assert oom_kills(vmstat) is None
    assert oom_kills(tmp_path / "absent") is None
