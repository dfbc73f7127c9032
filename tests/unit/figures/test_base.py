"""The catalogue of figures."""

import pytest

from tensordyno.errors import UnknownName
from tensordyno.figures.base import FigureData, figure


def test_an_unknown_figure_is_named_with_its_neighbours():
    with pytest.raises(UnknownName, match="There is no figure called 'paretto'") as caught:
        figure("paretto")
    assert "pareto" in caught.value.remedy


def test_the_table_is_the_rows_unless_another_is_given():
    rows = ({"a": 1},)
    assert FigureData(rows=rows, columns={}, finding="").told == rows
    assert FigureData(rows=rows, columns={}, finding="", table=()).told == ()
