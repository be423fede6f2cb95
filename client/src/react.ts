// Hooks for React 18 and later. They watch while a component is mounted, survive StrictMode, and show the beginning on a server.

import { useCallback, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import {
  type Batch, type Channel, type Client, createClient, defaultClient, type EventMap, Job, type SubmitOptions,
} from './nginx-await.js';
import { clientOf, EMPTY, type Snapshot, type Store, storeOf, storeOfAll } from './store.js';
import { workflow, type WorkflowEvent, type WorkflowOptions } from './workflow.js';

export type { Snapshot, WorkflowEvent };

interface With { client?: Client }
type PlaceOptions = With & { socket?: string | false; cursor?: string };

const NOTHING: readonly never[] = [];
const never = () => () => {};

function useStore<S>(store: Store<S> | null, empty: S): S {
  const snapshot = useCallback(() => (store ? store.snapshot() : empty), [store, empty]);
  return useSyncExternalStore(store ? store.subscribe : never, snapshot, () => empty);
}

export interface JobView<M extends object = EventMap> extends Snapshot<M> {
  job: Job<M> | null;
  cancel(): Promise<unknown>;
}

/// A job: what submit() has given, or its URL. null: none yet.
export function useJob<M extends object = EventMap>(reference: Job<M> | string | null | undefined, options: PlaceOptions = {}): JobView<M> {
  const { client, socket, cursor } = options;
  const job = useMemo(() => (typeof reference === 'string' ? clientOf(client).job<M>(reference, { socket, cursor }) : reference ?? null),
    [reference, client, socket, cursor]);
  const now = useStore<Snapshot<M>>(job && storeOf(job), EMPTY);
  const cancel = useCallback(async () => job?.cancel(), [job]);
  return useMemo(() => ({ ...now, job, cancel }), [now, job, cancel]);
}

/// Many jobs, in the order in which they are given. They share one WebSocket.
export function useJobs<M extends object = EventMap>(references: readonly (Job<M> | string)[], options: PlaceOptions = {}): readonly Snapshot<M>[] {
  const { client, socket } = options;
  const known = useRef(new Map<unknown, Job<M>>());
  const key = references.map((each) => (typeof each === 'string' ? each : each.url)).join('\n');
  const store = useMemo(() => storeOfAll(references.map((each) => {
    if (typeof each !== 'string') return each;
    if (!known.current.has(each)) known.current.set(each, clientOf(client).job<M>(each, { socket }));
    return known.current.get(each)!;
  })), [key, client, socket]);
  return useStore<readonly Snapshot<M>[]>(store, NOTHING);
}

export function useBatch<M extends object = EventMap>(reference: Batch<M> | string | null | undefined, options: PlaceOptions = {}): Snapshot<M> & { batch: Batch<M> | null } {
  const { client, socket, cursor } = options;
  const batch = useMemo(() => (typeof reference === 'string' ? clientOf(client).batch<M>(reference, { socket, cursor }) : reference ?? null),
    [reference, client, socket, cursor]);
  const now = useStore<Snapshot<M>>(batch && storeOf(batch), EMPTY);
  return useMemo(() => ({ ...now, batch }), [now, batch]);
}

/// A topic; `events` and `socket` are the URLs where it is.
export function useTopic<M extends object = EventMap>(name: string, options: PlaceOptions & { events?: string }): Snapshot<M> {
  const { client, socket, events, cursor } = options;
  const topic = useMemo(() => clientOf(client).topic<M>(name, { ...(socket === undefined ? {} : { socket }), events, cursor }),
    [name, client, socket, events, cursor]);
  return useStore<Snapshot<M>>(storeOf<M>(topic as Channel<M>), EMPTY);
}

export interface SubmitView<M extends object = EventMap> {
  submit(body: BodyInit | object | null, options?: SubmitOptions): Promise<Job<M>>;
  /// The newest that was submitted.
  job: Job<M> | null;
  submitting: boolean;
  upload: { loaded: number; total: number } | null;
  error: unknown;
}

/// Submits to `url`. Give `job` to useJob().
export function useSubmit<M extends object = EventMap>(url: string, options: SubmitOptions & With = {}): SubmitView<M> {
  const [state, setState] = useState<Omit<SubmitView<M>, 'submit'>>({ job: null, submitting: false, upload: null, error: null });
  const latest = useRef(options);
  latest.current = options;
  const turn = useRef(0);
  const submit = useCallback(async (body: BodyInit | object | null, more: SubmitOptions = {}) => {
    const mine = ++turn.current;
    const set = (next: Partial<SubmitView<M>>) => { if (mine === turn.current) setState((now) => ({ ...now, ...next })); };
    const { client, ...rest } = latest.current;
    set({ submitting: true, upload: null, error: null });
    try {
      const job = await (client ?? defaultClient()).submit<M>(url, body, {
        ...rest, ...more, onUploadProgress: (upload) => { set({ upload }); (more.onUploadProgress ?? rest.onUploadProgress)?.(upload); },
      });
      set({ job, submitting: false });
      return job;
    } catch (error) {
      set({ error, submitting: false });
      throw error;
    }
  }, [url]);
  return useMemo(() => ({ ...state, submit }), [state, submit]);
}

export interface WorkflowView {
  events: readonly WorkflowEvent[];
  /// `running`, or how the run has ended: the last event without `workflow_`.
  status: string;
  ended: boolean;
  error: unknown;
  /// How often it was polled.
  polls: number;
}

let workflows: Client | undefined;

/// The events of a run, of all those of a user that come by one socket (conf/recipes/runs.conf).
export function useWorkflowEvents(runId: string | null | undefined, username: string, options: WorkflowOptions & With = {}): WorkflowView {
  const { client, socket, events, hidden } = options;
  const channel = useMemo(() => (runId
    ? (client ?? (typeof document === 'undefined' ? clientOf() : workflows ??= createClient())).watch<Record<string, unknown>>(workflow(runId, username, {
      ...(socket === undefined ? {} : { socket }), ...(events === undefined ? {} : { events }), ...(hidden === undefined ? {} : { hidden }),
    })) : null), [runId, username, client, socket, events, hidden]);
  const now = useStore<Snapshot<any>>(channel && storeOf(channel), EMPTY);
  return useMemo(() => ({
    events: now.events as unknown as readonly WorkflowEvent[], ended: now.ended, error: now.error, polls: channel?.polls ?? 0,
    status: now.ended && now.last ? String(now.last.type).replace('workflow_', '') : 'running',
  }), [now, channel]);
}
