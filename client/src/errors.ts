import type { Problem } from './types.js';

/// Every error of this package. An abort is not one: that throws the reason of its signal.
export class AwaitError extends Error {
  override name = 'AwaitError';
}

/// The network has failed, and went on doing so until the time was over.
export class NetworkError extends AwaitError {
  override name = 'NetworkError';
}

/// The server has refused a request: `problem` is its answer, `after` its Retry-After in ms.
export class ProblemError extends AwaitError {
  override name = 'ProblemError';
  constructor(readonly problem: Problem, readonly status: number, readonly after?: number) {
    super(problem.detail ?? problem.title ?? `Status ${status}`);
  }
}

/// There is no result: the job has failed, was cancelled or has expired; see `status` and `problem`.
export class JobError extends ProblemError {
  override name = 'JobError';
}
