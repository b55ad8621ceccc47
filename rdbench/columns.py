"""Columns of tables: a key for programs; a title, a unit and digits for people.

A row is a mapping with snake_case keys whose values are numbers, not texts of numbers, and None
where nothing was measured. All rows of one table have the same keys: ``--json`` and CSV print them
as they are. Columns say how people see the rows.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """How people see one value of each row.

    Attributes:
        key: of the value in a row; a column whose values are all None is not shown.
        title: heading; the key with spaces where empty.
        unit: of the values as shown, printed behind the title.
        digits: decimals of a float.
        paper_digits: decimals in tables for papers, where published tables are compared by more.
        signed: whether positive numbers have a plus sign.
        scale: factor from the value to the number shown, such as 1e-6 for millions.
        better: ``lower`` or ``higher`` where the best of all rows is marked in tables for papers.
        template: for a column that shows several values of a row at once: their format string, such
            as ``{encode_s_low:.4f}-{encode_s_high:.4f}``.
    """

    key: str
    title: str = ""
    unit: str = ""
    digits: int = 4
    paper_digits: int | None = None
    signed: bool = False
    scale: float = 1.0
    better: str = ""
    template: str = ""

    @property
    def heading(self) -> str:
        """Title and unit."""
        title = self.title or self.key.replace("_", " ")
        return f"{title} ({self.unit})" if self.unit else title

    def text(self, row: Row, for_paper: bool = False) -> str:
        """Return a row's value as a table shows it: a dash for None, yes or no for a bool."""
        value = row.get(self.key)
        if value is None:
            return "-"
        if self.template:
            return self.template.format_map(row)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value))
        sign = "+" if self.signed else ""
        if isinstance(value, Decimal):  # it has its own digits
            return f"{value:{sign}f}"
        if isinstance(value, float) or self.scale != 1:
            digits = (
                self.digits if not for_paper or self.paper_digits is None else self.paper_digits
            )
            return f"{value * self.scale:{sign}.{digits}f}"
        return str(value)


def plain(*keys: str) -> tuple[Column, ...]:
    """Return columns whose titles are their keys."""
    return tuple(map(Column, keys))


DATASET = Column("dataset", "data set")
CODEC = Column("codec")
BPP = Column("bpp", "rate", "bpp", 3)
FLAG = Column("flag", "remark")


def shown(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns of which any row has a value."""
    return [c for c in columns if any(row.get(c.key) is not None for row in rows)]


def is_numeric(column: Column, rows: Sequence[Row]) -> bool:
    """Whether a column holds numbers, which tables align to the right."""
    values = [row[column.key] for row in rows if row.get(column.key) is not None]
    return all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in values)


def side_by_side(
    rows: Sequence[Row], index: Sequence[Column], by: str, value: Column
) -> tuple[list[Column], list[Row]]:
    """Put values of one thing into one row, a column for each value of the key ``by``.

    ``index`` are the columns by which one thing is told from another, ``value`` what the new
    columns hold.

    Returns:
        The new columns, and the rows with them and the columns of ``index``.
    """
    columns = {
        head: dataclasses.replace(value, key=f"{by}:{head}", title=head)
        for head in dict.fromkeys(row[by] for row in rows)
    }
    wide: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        start = {column.key: row[column.key] for column in index}
        wide.setdefault(tuple(start.values()), start)[columns[row[by]].key] = row[value.key]
    return list(columns.values()), list(wide.values())
