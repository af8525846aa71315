"""Long commands: each becomes a job on its node's own queue, run by an RQ worker process of that node.

The agent (`service.py`) keeps a record of each job that is not finished, and is the only one that writes what becomes
of it into the results of its command. It speaks to the worker process (`process.py`, `__main__.py`) over its standard
input and output; RQ lives in that process alone (`rq_worker.py`, `requests.py`, `horse.py`).
"""
