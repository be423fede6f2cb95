// What the client sends and gets. docs/http.md describes the documents and events.

/// A problem (RFC 9457), as every refusal and every failed job has one.
export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  instance?: string;
  request_id?: string;
  [member: string]: unknown;
}

export interface ResultInfo { type: string; size: number; name: string | null; value?: unknown }

export type State = 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled' | 'expired';

/// The counts of a batch.
export interface Totals {
  total: number; done: number; open: number; completed: number; failed: number; cancelled: number; expired: number;
  phases?: Record<string, Totals> | null;
  [member: string]: unknown;
}

export interface JobDocument {
  id: string;
  queue: string;
  state: State;
  seq: number;
  attempt: number;
  correlation_id: string | null;
  progress: unknown;
  params: Record<string, unknown> | null;
  batch: string | null;
  phase: string | null;
  retry_of?: string;
  created_at: string;
  updated_at: string;
  finished_at: string | null;
  cursor: string;
  result: ResultInfo | null;
  error: Problem | null;
  last_error: Problem | null;
  retry_at: string | null;
  max_attempts: number | null;
  links?: { self: string; result: string; events: string };
}

export interface BatchDocument {
  id: string;
  state: State;
  status: string;
  ready: boolean;
  seq: number;
  totals: Totals;
  phases: Record<string, Totals> | null;
  summary: { completed: number; failed: number; cancelled: number; expired: number; failures: unknown[] };
  created_at: string;
  updated_at: string;
  finished_at: string | null;
  cursor: string;
  jobs: JobDocument[];
  next: string | null;
  links: { self: string; events: string };
}

/// The data of the events that every queue has. A map of an application's own is added to it, or replaces parts of it.
export interface BuiltIn {
  pending: null | { error?: Problem; retry_at?: string; max_attempts?: number; released?: boolean };
  processing: null;
  progress: unknown;
  completed: null;
  failed: Problem;
  cancelled: unknown;
  expired: unknown;
  'batch.ready': Totals & { batch: string; failures: unknown[] };
}

/// Event type → its data. The default says nothing about either.
export type EventMap = Record<string, unknown>;

interface Envelope {
  channel?: string;
  job?: string;
  batch?: string;
  topic?: string;
  seq: number;
  at: string;
  correlation_id?: string | null;
  result?: ResultInfo;
}

/// The cursor could not be honoured: events are missing, and `state` is what is known now. It says how to go on, not what
/// has happened; whoever shows more than the state reads the document anew.
export interface ResetEvent { type: 'reset'; state: string; seq?: undefined; data?: undefined; at?: undefined }

type Merge<M> = string extends keyof M ? M : Omit<BuiltIn, keyof M> & M;
type Known<M> = { [K in keyof M & string]: Envelope & { type: K; data: M[K] } }[keyof M & string];

/// An event. With a map, `type` selects the type of `data`: `AwaitEvent<{ token: string }>`.
export type AwaitEvent<M extends object = EventMap> = Known<Merge<M>> | ResetEvent;

/// An event as it comes, of any shape.
export interface RawEvent { type?: string; seq?: number; cursor?: string; [member: string]: any }

export interface Page { events: RawEvent[]; cursor?: string; state?: string; done?: boolean; reset?: boolean; status?: string }

type Maybe<T> = T | Promise<T>;

export interface ClientOptions {
  /// URL of the WebSocket; by default `socket` beside the jobs, as `await` has it. false: none is opened.
  socket?: string | false;
  /// Headers of every request: an object, or a function that is called for each.
  headers?: Record<string, string> | (() => Maybe<Record<string, string>>);
  /// Where tickets are fetched (await_ticket), or a function that does: for sockets, and for requests that are answered
  /// with 401 and `WWW-Authenticate: Ticket`.
  ticket?: string | ((channels: string[], signal: AbortSignal) => Promise<string>);
  /// As of fetch().
  credentials?: RequestCredentials;
  /// ms without an event or a beat until a poll: 4000. Each poll without news makes it longer, × 1.5.
  quiet?: number;
  /// The longest pause between polls, and between attempts to connect, in ms: 30000.
  most?: number;
  /// For how long a socket without channels stays open, in ms: 60000, and 0 outside of browsers.
  linger?: number;
  /// For how long a submission is repeated, in ms: 60000.
  timeout?: number;
  /// What relative URLs are relative to, outside of browsers.
  base?: string;
  fetch?: typeof fetch;
  WebSocket?: new (url: string, protocol?: string) => WebSocket;
}

export interface SubmitOptions {
  headers?: Record<string, string>;
  /// By default a new one for each call: the same request is carried out once, however often it is sent.
  key?: string;
  signal?: AbortSignal;
  timeout?: number;
  /// Called while the body is sent, in browsers; elsewhere once it is, unless it is a stream.
  onUploadProgress?: (progress: { loaded: number; total: number }) => void;
}

/// What is watched. One of `socket` and `events` is needed.
export interface Source {
  /// What is subscribed to: `job:<id>`, `batch:<id>`, `topic:<name>`, `user:<name>`.
  channel: string;
  /// URL of the event stream and of event pages.
  events?: string;
  /// URL of the WebSocket.
  socket?: string | false;
  /// Behind which event to begin.
  cursor?: string;
  /// Whether an event is the last one.
  isLast?: (event: RawEvent) => boolean;
  /// Of a socket that sends events and nothing else (`plain`): the channel that an event belongs to.
  channelOf?: (event: RawEvent) => string;
  /// How many of the first events await_event_types hides.
  hidden?: number;
}
