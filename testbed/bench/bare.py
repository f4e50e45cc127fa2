"""The upper bound: bare.py RPC VERIFIER FROM TO DATABASE reads logs by range and stores them, and checks nothing: no header,
no link, no bloom, no decoding. Prints the number of logs and the seconds it took.
"""

import json
import sqlite3
import sys
import time
import urllib.request

RANGE = 100


def logs(rpc, verifier, start, end):
    parameters = [{"address": verifier, "fromBlock": hex(start), "toBlock": hex(end)}]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": parameters}).encode()
    request = urllib.request.Request(rpc, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["result"]


def main():
    rpc, verifier, first, last, path = sys.argv[1:]
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE logs (block INTEGER, log INTEGER, topics TEXT, data TEXT, PRIMARY KEY (block, log))")
    begun, stored = time.monotonic(), 0
    for start in range(int(first), int(last) + 1, RANGE):
        found = logs(rpc, verifier, start, min(start + RANGE - 1, int(last)))
        rows = [(int(x["blockNumber"], 16), int(x["logIndex"], 16), "".join(x["topics"]), x["data"]) for x in found]
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO logs VALUES (?, ?, ?, ?)", rows)
        database.execute("COMMIT")
        stored += len(rows)
    print(stored, time.monotonic() - begun)


if __name__ == "__main__":
    main()
