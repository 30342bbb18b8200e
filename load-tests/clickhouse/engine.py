"""ClickHouse's engine in this process (chDB), driven line by line.

usage: engine.py DIR

Each line on stdin is JSON: {"sql": …, "repeat": n}. Each answer is JSON: {"rows": text of the last run,
"seconds": [of each run]} or {"error": …}.
"""
import json
import sys

from chdb import session

engine = session.Session(sys.argv[1])
for line in sys.stdin:
    asked = json.loads(line)
    try:
        seconds, rows = [], ""
        for _ in range(asked.get("repeat", 1)):
            answer = engine.query(asked["sql"], "TabSeparated")
            rows = str(answer).strip()
            seconds.append(answer.elapsed())
        print(json.dumps({"rows": rows, "seconds": seconds}), flush=True)
    except Exception as error:
        print(json.dumps({"error": str(error)}), flush=True)
