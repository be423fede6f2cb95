import { type AwaitEvent, type Channel, type Client, type EventMap } from './nginx-await.js';
export interface Snapshot<M extends object = EventMap> {
    readonly state: string;
    readonly events: readonly AwaitEvent<M>[];
    readonly last: AwaitEvent<M> | undefined;
    readonly progress: unknown;
    readonly ended: boolean;
    readonly error: unknown;
}
export interface Store<S> {
    subscribe(listener: () => void): () => void;
    snapshot(): S;
}
export declare const EMPTY: Snapshot<any>;
export declare function clientOf(client?: Client): Client;
export declare function storeOf<M extends object>(channel: Channel<M>): Store<Snapshot<M>>;
export declare function storeOfAll<M extends object>(channels: readonly Channel<M>[]): Store<readonly Snapshot<M>[]>;
