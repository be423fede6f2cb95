"""A worker for nginx-await: claims jobs, keeps their leases, hears of cancels, ends them. README.md shows its use."""
from ._job import Failed, Job, Over, Result
from ._worker import Worker

__all__ = ["Failed", "Job", "Over", "Result", "Worker"]
