"""The largest batch that fits."""

from dataclasses import replace

from tensordyno.report.memory_table import memory_table


def test_each_build_that_ran_out_is_a_row(gpu):
    table = memory_table(gpu[0], gpu[1])
    assert table.rows == (
        (
            *("vgg16, 1 GPU", "torch-compile fp32", "3,392", "3,424"),
            *("129 GiB", "41.0 GiB", "2.00 GiB", "131 GiB"),
        ),
    )
    assert len(table.headings) == len(table.rows[0]) and table.left_out == 0


def test_what_nobody_said_is_a_dash(gpu):
    run = replace(gpu[0], largest=(), outcomes=())
    (row,) = memory_table(run, [s for s in gpu[1] if s.batch_size == 4096]).rows
    assert row[2:] == ("none", "4,096", "–", "–", "–", "–")


def test_a_run_that_never_ran_out_has_none(run, rows):
    assert memory_table(run, rows) is None


def test_it_stands_in_the_page_and_in_the_text(gpu):
    from tensordyno.report.html_page import html_page
    from tensordyno.report.markdown import markdown

    page, text = html_page(gpu[2], ""), markdown(gpu[2])
    assert '<td class="n">3,392</td>' in page and "Largest batches that fit into memory" in page
    assert "| vgg16, 1 GPU | torch-compile fp32 | 3,392 | 3,424 | 129 GiB |" in text
