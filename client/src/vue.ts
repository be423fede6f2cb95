// Composables for Vue 3: they watch while their scope is active.

import { computed, type ComputedRef, getCurrentScope, type MaybeRefOrGetter, onScopeDispose, shallowRef, type ShallowRef, toValue, watch } from 'vue';
import { type Batch, type Channel, type Client, type EventMap, Job } from './nginx-await.js';
import { clientOf, EMPTY, type Snapshot, storeOf } from './store.js';

export type { Snapshot };

interface Options { client?: Client; socket?: string | false; cursor?: string }

/// What is known of a channel; of none yet, if it gives null.
export function useChannel<M extends object = EventMap>(source: () => Channel<M> | null | undefined): Readonly<ShallowRef<Snapshot<M>>> {
  const now = shallowRef<Snapshot<M>>(EMPTY);
  let stop = () => {};
  // on a server nothing is watched
  if (typeof document === 'undefined') return now;
  watch(source, (channel) => {
    stop();
    const store = channel && storeOf(channel);
    const show = () => { now.value = store?.snapshot() ?? EMPTY; };
    stop = store?.subscribe(show) ?? (() => {});
    show();
  }, { immediate: true });
  if (getCurrentScope()) onScopeDispose(() => stop());
  return now;
}

/// A job, by what submit() has given or its URL: `view.value.state` and so on.
export function useJob<M extends object = EventMap>(reference: MaybeRefOrGetter<Job<M> | string | null | undefined>, { client, ...place }: Options = {}): {
  view: Readonly<ShallowRef<Snapshot<M>>>; job: ComputedRef<Job<M> | null>; cancel(): Promise<unknown>;
} {
  const job = computed(() => {
    const each = toValue(reference);
    return typeof each === 'string' ? clientOf(client).job<M>(each, place) : each ?? null;
  });
  return { job, view: useChannel(() => job.value), cancel: async () => job.value?.cancel() };
}

export function useBatch<M extends object = EventMap>(reference: MaybeRefOrGetter<Batch<M> | string | null | undefined>, { client, ...place }: Options = {}) {
  return useChannel<M>(() => {
    const each = toValue(reference);
    return typeof each === 'string' ? clientOf(client).batch<M>(each, place) : each;
  });
}
