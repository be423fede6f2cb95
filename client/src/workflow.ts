// The runs of a user on one socket that sends events and nothing else, in a format of their own: conf/recipes/runs.conf.

import type { RawEvent, Source } from './nginx-await.js';

export interface WorkflowEvent {
  type: string;
  run_id: string;
  seq: number;
  /// Seconds.
  timestamp: number;
  node_id?: string;
  [member: string]: unknown;
}

export interface WorkflowOptions {
  /// The socket; by default /ws?username=<user>.
  socket?: string;
  /// The events of a run; by default /api/v1/runs/<run>/events.
  events?: string;
  /// How many of a run's first events await_event_types hides: 2, `pending` and `processing`.
  hidden?: number;
}

export const isLast = ({ type }: RawEvent) => /^workflow_(completed|failed|cancelled|expired)$/.test(type!);

/// What Client.watch() takes to watch a run.
export function workflow(runId: string, username: string, options: WorkflowOptions = {}): Source {
  const {
    socket = `/ws?username=${encodeURIComponent(username)}`, events = `/api/v1/runs/${encodeURIComponent(runId)}/events`, hidden = 2,
  } = options;
  return { channel: runId, socket, events, hidden, isLast, channelOf: (event) => event.run_id };
}
