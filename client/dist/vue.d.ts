import { type ComputedRef, type MaybeRefOrGetter, type ShallowRef } from 'vue';
import { type Batch, type Channel, type Client, type EventMap, Job } from './nginx-await.js';
import { type Snapshot } from './store.js';
export type { Snapshot };
interface Options {
    client?: Client;
    socket?: string | false;
    cursor?: string;
}
export declare function useChannel<M extends object = EventMap>(source: () => Channel<M> | null | undefined): Readonly<ShallowRef<Snapshot<M>>>;
export declare function useJob<M extends object = EventMap>(reference: MaybeRefOrGetter<Job<M> | string | null | undefined>, { client, ...place }?: Options): {
    view: Readonly<ShallowRef<Snapshot<M>>>;
    job: ComputedRef<Job<M> | null>;
    cancel(): Promise<unknown>;
};
export declare function useBatch<M extends object = EventMap>(reference: MaybeRefOrGetter<Batch<M> | string | null | undefined>, { client, ...place }?: Options): Readonly<ShallowRef<Snapshot<M>>>;
