"""A canonical table and the types of a mapping's columns -> the SELECT that reads its texts strictly: DuckDB does the reading.

Patterns decide what a text is before any cast does: DuckDB's casts are lenient (they take 1e5 for an amount and 2024-1-5 for a date).
Amounts become integer hundredths, rounded half away from zero as on invoices, whether they come as text or from a mapping's arithmetic.
"""

import re

import duckdb

from pipeline.database import literal, quoted
from pipeline.source import NumberFormat, Source
from pipeline.tables import Column, Kind, Table

RECORDED = Column("recorded_at", Kind.INSTANT)
TIMES = (Kind.INSTANT, Kind.DATE)
BLANKS = " \t\r\n\x0b\x0c\u00a0\u200e\u200f\u202f\ufeff"  # a text of these alone is blank
YES, NO = "('true', 't', 'yes', 'y', '1')", "('false', 'f', 'no', 'n', '0')"
NUMBERS = (
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
)

WHOLE = r"[+-]?\d{1,18}"
ISO_DATE = r"\d{4}-\d{2}-\d{2}"
ISO_INSTANT = ISO_DATE + r"[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?"
OFFSET = r" ?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)"
SLASHED = r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}([ T,].*)?"  # which of day and month comes first must be declared


def wanted_columns(table: Table) -> tuple[Column, ...]:
    """The columns a mapping may give, besides `_row` and `_set_aside`."""
    return (*table.columns, RECORDED)


def reading_sql(relation: str, table: Table, types: dict[str, str], source: Source) -> str:
    """The SELECT that reads a mapping's columns (`types`: name -> DuckDB type) from `relation`, each column with its helpers (`name__…`).

    In three layers, so that no pattern is tried twice: what shape a text has, then its value, then whether it could be read.
    """
    shapes, values = ["*"], ["*"]
    outputs = [
        _rows(types["_row"]),
        "nullif(trim(_set_aside::varchar), '') as _set_aside" if "_set_aside" in types else "null::varchar as _set_aside",
    ]
    for column in wanted_columns(table):
        if column.name not in types:
            continue
        name, given = column.name, quoted(column.name)
        if column.kind is Kind.TEXT:
            outputs.append(f"if({_is_full(given + '::varchar')}, {given}::varchar, null) as {given}")
            continue
        reading = _shape(column, given, types[name], source), _value(column, given, types[name], source)
        shapes += [f"{item} as {name}__{helper}" for helper, item in reading[0].items()]
        values += [f"{item} as {name}__{helper}" for helper, item in reading[1].items()]
        outputs += [f"{name}__{helper} as {given}" if helper == "value" else f"{name}__{helper}" for helper in reading[1]]
        outputs.append(f"if({name}__value is null and {_is_full(name + '__text')}, {given}::varchar, null) as {name}__text")
    inner = f"select {_listed(shapes)} from {relation}"  # noqa: S608  # table and column names are checked before
    return f"select {_listed(outputs)} from (select {_listed(values)} from ({inner}))"  # noqa: S608


def _listed(items: list[str]) -> str:
    return ",\n".join(items)


def _rows(kind: str) -> str:
    if kind.endswith("[]"):
        rows = "list_sort(list_distinct(_row::bigint[]))"  # without nulls
        return f"list_min({rows}) as _row, if(len({rows}) > 1, {rows}, null) as _rows"
    return "_row::bigint as _row, null::bigint[] as _rows"


def _is_full(text: str) -> str:
    """Not null and not blank; nearly always told by the first character, as trimming takes long."""
    return f"({text} is not null and case when ascii({text}) between 33 and 126 then true else trim({text}, {literal(BLANKS)}) <> '' end)"


def _matches(value: str, pattern: str) -> str:
    return f"regexp_full_match({value}, {literal(pattern)})"


def _is_time(kind: str) -> bool:
    return kind == "DATE" or kind.startswith("TIMESTAMP")


def _is_number(kind: str) -> bool:
    return kind.split("(")[0] in NUMBERS


def _shape(column: Column, given: str, kind: str, source: Source) -> dict[str, str]:
    text = f"trim({given}::varchar)"
    if column.kind is Kind.FLAG or (_is_time(kind) if column.kind in TIMES else _is_number(kind)):
        return {"text": text, "shape": "'typed'"}
    if column.kind in TIMES:
        patterns = {"instant": ISO_INSTANT, "date": ISO_DATE, "offset": ISO_INSTANT + OFFSET, "slashed": SLASHED}
    else:
        patterns = {"whole": WHOLE, "number": number_pattern(source.spec.numbers)}
    cases = " ".join(f"when {_matches(text, pattern)} then {literal(name)}" for name, pattern in patterns.items())
    return {"text": text, "shape": f"case {cases} end"}


def _value(column: Column, given: str, kind: str, source: Source) -> dict[str, str]:
    text, shape = f"{column.name}__text", f"{column.name}__shape"
    if column.kind in TIMES:
        return _typed_time(given, kind) if _is_time(kind) else _time(text, shape, source.spec.date_formats)
    if column.kind is Kind.FLAG:
        spoken = f"case when lower({text}) in {YES} then true when lower({text}) in {NO} then false end"
        return {"value": given if kind == "BOOLEAN" else spoken}
    plain = f"case {shape} when 'whole' then {text} when 'number' then {_plain_number(text, source.spec.numbers)} end"
    digits = text if _is_number(kind) else plain
    if column.kind is Kind.MONEY:
        is_finer = f"{shape} <> 'whole' and regexp_matches({digits}, '[.][0-9][0-9][0-9]*[1-9][0-9]*$')"
        return {"value": f"(try_cast({digits} as decimal(18, 2)) * 100)::bigint", "rounded": is_finer}
    if column.kind is Kind.INTEGER:
        exact = f"try_cast({digits} as decimal(38, 12))"
        from_fraction = f"when {exact} = trunc({exact}) then try_cast({exact} as bigint)"
        return {"value": f"case when {shape} = 'whole' then try_cast({text} as bigint) {from_fraction} end"}
    number = f"try_cast({digits} as double)"
    return {"value": f"if(isfinite({number}), {number}, null)"}


def _typed_time(given: str, kind: str) -> dict[str, str]:
    has_offset = "ZONE" in kind
    moment = given if has_offset else f"{given}::timestamp"
    return {
        "value": f"if(isfinite({given}), epoch_us({moment}), null)",
        "offset": f"if({given} is not null, 0, null)::bigint" if has_offset else "null::bigint",
        "date_only": "true" if kind == "DATE" else "false",
        "unsure": "false",
    }


def _time(text: str, shape: str, formats: list[str]) -> dict[str, str]:
    """Wall clock in microseconds, its UTC offset in microseconds where it has one; whether there was only a date, and an unsure one."""
    listed = ", ".join(map(literal, formats))
    declared = f"epoch_us(try_strptime({text}, [{listed}]))" if formats else "null::bigint"
    moment, wall = _moment(text), _moment(f"regexp_extract({text}, {literal('^' + ISO_INSTANT)})")
    offset = f"regexp_extract({text}, {literal(OFFSET + '$')}, 1)"
    digits = f"rpad(replace(substr({offset}, 2), ':', ''), 4, '0')"
    hours, minutes = f"try_cast(substr({digits}, 1, 2) as bigint)", f"try_cast(substr({digits}, 3, 2) as bigint)"
    offset_us = f"if({offset} = 'Z', 0, ({hours} * 60 + {minutes}) * if({offset}[1] = '-', -1, 1) * 60000000)"
    readings = ", ".join(f"try_strptime({text}, {literal(item)})" for item in formats)
    several = f"len(list_distinct([{readings}])) > 1" if len(formats) > 1 else "false"  # nulls do not count
    return {
        "value": f"case {shape} when 'instant' then {moment} when 'date' then {moment} when 'offset' then {wall} else {declared} end",
        "offset": f"case {shape} when 'offset' then {offset_us} end::bigint",
        "date_only": f"coalesce({shape} = 'date', false)",
        "unsure": f"case {shape} when 'slashed' then {several if formats else 'true'} else false end",
    }


def _moment(text: str) -> str:
    return f"epoch_us(try_cast(replace({text}, ',', '.') as timestamp))"


def number_pattern(numbers: NumberFormat) -> str:
    """What a number looks like in the source's format: all of it, or it is no number."""
    decimal, mark = re.escape(numbers.decimal), _marks(numbers)
    grouped = rf"|\d{{1,3}}([{mark}]\d{{3}}){{1,5}}" if mark else ""
    return rf"[+-]?((\d{{1,18}}{grouped})({decimal}\d{{0,30}})?|{decimal}\d{{1,30}})"


def _marks(numbers: NumberFormat) -> str:
    return " \u00a0\u202f" if numbers.thousands == " " else numbers.thousands  # exports write the space unbreakable


def _plain_number(text: str, numbers: NumberFormat) -> str:
    text = f"translate({text}, {literal(_marks(numbers))}, '')" if numbers.thousands else text
    return text if numbers.decimal == "." else f"replace({text}, ',', '.')"


def is_date_format(text: str) -> bool:
    """Whether DuckDB can read dates by this format; offsets are ISO 8601's alone."""
    with duckdb.connect() as connection:
        try:
            connection.execute("select try_strptime('', ?)", [text])
        except duckdb.Error:
            return False
    return "%z" not in text and "%Z" not in text
