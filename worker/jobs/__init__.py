"""Long commands: each becomes a job on its node's own queue, and an RQ worker process of that node runs it.

The agent (`service.py`) keeps a record of each unfinished job, and only it writes the outcome of a job into the results
of its command. It talks to the worker process (`process.py`, `__main__.py`) over that process's standard input and
output. Only the worker process uses RQ (`rq_worker.py`, `requests.py`, `horse.py`).
"""
