/** JSON, as PostgreSQL's jsonb takes it. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export interface Options {
  /** Queues to claim from. */
  queue: string | string[];
  /** How many jobs run at once (1). */
  concurrency?: number;
  /** A URL, or the configuration of a `pg.Pool`. By default the variables of libpq: PGHOST, PGUSER, … */
  postgres?: string | object;
  /** `redis://[user:password@]host[:port]`; by default AWAIT_REDIS. Without it the worker asks once a second. */
  redis?: string;
  /** Milliseconds between heartbeats (2000). */
  beat?: number;
  /** Milliseconds that running jobs have at a stop (25000); then they are given back. */
  grace?: number;
  /** Stops the worker, as SIGTERM does. */
  signal?: AbortSignal;
  /** Is told what went wrong. By default console.error. */
  log?: (message: string) => void;
}

export interface Job<Params = any> {
  readonly id: string;
  readonly attempt: number;
  readonly queue: string;
  readonly contentType: string;
  readonly fileName: string | null;
  readonly params: Params | null;
  readonly deadline: Date | null;
  readonly payloadSize: number;
  /** Aborted when the work should end; its reason is an Over. */
  readonly signal: AbortSignal;
  /** All of it, however large. */
  payload(): Promise<Uint8Array>;
  /** The payload in pieces, for one that does not fit into memory. */
  pieces(size?: number): AsyncGenerator<Uint8Array, void>;
  /** Reports progress, which clients get as an event. */
  progress(progress: Json): Promise<void>;
  /** Adds an event of your own. With an id, a repetition within a day changes nothing. */
  emit(type: string, data?: Json, eventId?: string): Promise<void>;
}

/** A result with more than bytes. A body of pieces is stored piece by piece. */
export class Result {
  constructor(
    body: Uint8Array | string | AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options?: { contentType?: string; fileName?: string; status?: 200 | 201 | 203 },
  );
}

/** Fails the attempt with this problem. */
export class Failed extends Error {
  /** retryIn: seconds; undefined: the queue's back-off; negative: no further attempt. */
  constructor(title: string, problem?: { detail?: string; [member: string]: Json | undefined }, retryIn?: number);
}

/** Why a job is over: cancelled, lost or stopped. */
export class Over extends Error {
  readonly why: 'cancelled' | 'lost' | 'stopped';
}

/** Bytes, text, JSON (an object or an array), or a Result. */
export type Answer = Uint8Array | string | Result | Json[] | { [name: string]: Json };

/** Runs the handler for each job, until SIGTERM, SIGINT or the signal. Resolves when its jobs have ended. */
export function work(options: Options, handler: (job: Job) => Promise<Answer> | Answer): Promise<void>;
