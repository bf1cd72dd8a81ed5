"""All rows of an SQLite database: copied to another one with the same tables, and compared."""

import sqlite3


def read_tables(db: sqlite3.Connection) -> dict[str, list[str]]:
    """The columns of each table of ours, in the order in which the tables were made."""
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY rowid"
    )
    tables = [name for (name,) in db.execute(query).fetchall()]
    return {table: [row[1] for row in db.execute(f"PRAGMA table_info('{table}')")] for table in tables}


def copy_rows(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Replaces all rows of one database by those of another, within the target's transaction."""
    tables = read_tables(target)
    for table in reversed(tables):
        target.execute(f"DELETE FROM {table}")
    for table, columns in tables.items():
        rows = source.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        target.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows)
    # So that no number is given twice.
    if target.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        target.execute("DELETE FROM sqlite_sequence")
        numbers = source.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
        target.executemany("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", numbers)


def find_difference(one: sqlite3.Connection, other: sqlite3.Connection) -> str:
    """The first table of which two databases hold different rows; empty if there is none."""
    for table, columns in read_tables(one).items():
        query = f"SELECT {', '.join(columns)} FROM {table}"
        if one.execute(query).fetchall() != other.execute(query).fetchall():
            return table
    return ""
