"""Fills a store: fill.py DATABASE COUNT copies a delivered request, its code on the chain and its delivery, until COUNT
requests are stored; with `chain` after it, the code on the chain and the delivery alone, until COUNT events are. Both
daemons must be down. The copies have ids of their own and are settled, as old requests are: their block lies below what the
evidence log has already, for which a step must be final before.
"""

import os
import sqlite3
import sys
import uuid

BATCH = 80
# Copies are numbered from here, so that they never meet what the daemons number.
FIRST_SERIAL = 1 << 32


class Template:
    """A row that is copied, with other values in some columns."""

    def __init__(self, database, table, where, *arguments):
        cursor = database.execute(f"SELECT * FROM {table} WHERE {where} LIMIT 1", arguments)
        row = cursor.fetchone()
        if row is None:
            sys.exit(f"fill: no row in {table} to copy: let a code be delivered first")
        self.columns = [column[0] for column in cursor.description]
        self.values = dict(zip(self.columns, row))
        marks = ", ".join("?" * len(self.columns))
        self.statement = f"INSERT INTO {table} ({', '.join(self.columns)}) VALUES ({marks})"

    def __getitem__(self, column):
        return self.values[column]

    def copy(self, database, changes):
        rows = [[change.get(column, self.values[column]) for column in self.columns] for change in changes]
        database.executemany(self.statement, rows)


def templates(database):
    delivery = Template(database, "deliveries", "request_id IS NOT NULL AND state = 'accepted'")
    issuance = Template(database, "issuances", "on_chain_id = ?", delivery["on_chain_id"])
    return {
        "deliveries": delivery,
        "issuances": issuance,
        "requests": Template(database, "requests", "id = ?", issuance["request_id"]),
        "batches": Template(database, "batches", "id = ?", issuance["batch_id"]),
        "calls": Template(database, "calls", "id = ?", issuance["batch_id"]),
        "blocks": Template(database, "blocks", "canonical = 1"),
        "events": Template(database, "events", "kind = 'otp-set' AND on_chain_id = ?", issuance["on_chain_id"]),
    }


def add(database, rows, batch_id, number, size):
    first = FIRST_SERIAL + number * BATCH
    root, block = os.urandom(32), os.urandom(32)
    requests = [uuid.uuid4().bytes for _ in range(size)]
    ids = [os.urandom(32) for _ in range(size)]
    codes = list(enumerate(zip(requests, ids)))
    rows["calls"].copy(database, [{"id": batch_id, "nonce": -batch_id, "state": "final"}])
    rows["batches"].copy(database, [{"id": batch_id, "first": first, "size": size, "root": root}])
    rows["requests"].copy(
        database,
        [{"id": request, "idempotency_key": None, "reference": os.urandom(4).hex()} for request in requests],
    )
    rows["issuances"].copy(
        database,
        [
            {"on_chain_id": code, "request_id": request, "batch_id": batch_id, "serial": first + place}
            for place, (request, code) in codes
        ],
    )
    rows["events"].copy(
        database,
        [
            {
                "block_hash": block,
                "block_number": 0,
                "log_index": place,
                "on_chain_id": code,
                "root": root,
                "serial": first + place,
            }
            for place, (_, code) in codes
        ],
    )
    rows["deliveries"].copy(
        database,
        [
            {"message_id": f"copy-{code.hex()}", "request_id": request, "on_chain_id": code}
            for _, (request, code) in codes
        ],
    )


def add_to_chain(database, rows, number, size):
    block = os.urandom(32)
    ids = [os.urandom(32) for _ in range(size)]
    root, place = os.urandom(32), {"block_hash": block, "block_number": 0}
    rows["blocks"].copy(database, [{"hash": block, "number": 0}])
    rows["events"].copy(
        database,
        [
            {**place, "log_index": index, "on_chain_id": code, "root": root, "serial": FIRST_SERIAL + number * BATCH + index}
            for index, code in enumerate(ids)
        ],
    )
    rows["deliveries"].copy(database, [{"message_id": f"copy-{code.hex()}", "on_chain_id": code} for code in ids])


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[3:] not in ([], ["chain"]):
        sys.exit("usage: fill.py DATABASE COUNT [chain]")
    database = sqlite3.connect(sys.argv[1], isolation_level=None)
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("PRAGMA synchronous = OFF")
    rows = templates(database)
    chain_alone = len(sys.argv) == 4
    counted = "events" if chain_alone else "requests"
    missing = int(sys.argv[2]) - database.execute(f"SELECT count(*) FROM {counted}").fetchone()[0]
    start = database.execute("SELECT max(id) FROM calls").fetchone()[0] + 1
    number = 0
    database.execute("BEGIN IMMEDIATE")
    while missing > 0:
        size = min(BATCH, missing)
        if chain_alone:
            add_to_chain(database, rows, start + number, size)
        else:
            add(database, rows, start + number, start + number, size)
        missing -= size
        number += 1
        if number % 500 == 0:
            database.execute("COMMIT")
            database.execute("BEGIN IMMEDIATE")
            print(f"{missing} to go", flush=True)
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


if __name__ == "__main__":
    main()
