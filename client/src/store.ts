// What a view shows of a channel: snapshots that change only when something has happened, for any framework.

import { type AwaitEvent, type Channel, type Client, createClient, defaultClient, type EventMap } from './nginx-await.js';

export interface Snapshot<M extends object = EventMap> {
  /// The state of a job or batch, as its events tell it: `pending` at first.
  readonly state: string;
  readonly events: readonly AwaitEvent<M>[];
  readonly last: AwaitEvent<M> | undefined;
  /// The data of the newest `progress`.
  readonly progress: unknown;
  readonly ended: boolean;
  /// Why it cannot be watched; or, of a job that has failed, its problem.
  readonly error: unknown;
}

export interface Store<S> {
  /// @returns ends it. While somebody listens, the channel is watched.
  subscribe(listener: () => void): () => void;
  snapshot(): S;
}

export const EMPTY: Snapshot<any> = { state: 'pending', events: [], last: undefined, progress: null, ended: false, error: null };

let placeholder: Client | undefined;
/// The client of a view. On a server, where nothing is watched and no page says what URLs are relative to, it is one that
/// reaches nothing.
export function clientOf(client?: Client): Client {
  return client ?? (typeof document === 'undefined' ? placeholder ??= createClient({ base: 'http://no-base.invalid/' }) : defaultClient());
}

const STATES = /^(pending|processing|completed|failed|cancelled|expired)$/;
const MOST = 1000;   // events of a topic or a user

/// One store for each channel: all who show it share it.
const stores = new WeakMap<Channel<any>, Store<Snapshot<any>>>();

export function storeOf<M extends object>(channel: Channel<M>): Store<Snapshot<M>> {
  let store = stores.get(channel);
  if (!store) stores.set(channel, store = makeStore(channel));
  return store;
}

function makeStore<M extends object>(channel: Channel<M>): Store<Snapshot<M>> {
  const listeners = new Set<() => void>();
  const keeps = /^(topic|user):/.test(channel.channel);
  let now: Snapshot<M> = EMPTY;
  let told = 0;
  let stop: (() => void) | undefined;
  const change = (more: Partial<Snapshot<M>>) => {
    now = { ...now, ...more };
    listeners.forEach((listener) => listener());
  };
  function start() {
    // a channel that was watched before tells its events again
    let at = 0;
    return channel.subscribe((event) => {
      if (!keeps && ++at <= told) return;
      told++;
      const { type, data, state = type } = event as { type: string; data?: unknown; state?: string };
      const events = [...now.events, event];
      change({
        last: event, events: keeps ? events.slice(-MOST) : events,
        state: type === 'batch.ready' ? 'completed' : STATES.test(state) ? state : now.state,
        progress: type === 'progress' ? data : now.progress,
        error: type === 'failed' && data ? data : now.error,
      });
    }, (error) => change({ ended: true, error: error ?? now.error }));
  }
  return {
    subscribe(listener) {
      listeners.add(listener);
      stop ??= now.ended ? undefined : start();
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        stop?.();
        stop = undefined;
      };
    },
    snapshot: () => now,
  };
}

/// The snapshots of several channels as one.
export function storeOfAll<M extends object>(channels: readonly Channel<M>[]): Store<readonly Snapshot<M>[]> {
  const all = channels.map(storeOf);
  let now: readonly Snapshot<M>[] = [];
  return {
    subscribe(listener) {
      const stops = all.map((store) => store.subscribe(listener));
      return () => stops.forEach((stop) => stop());
    },
    snapshot() {
      const next = all.map((store) => store.snapshot());
      if (next.length !== now.length || next.some((each, i) => each !== now[i])) now = next;
      return now;
    },
  };
}

