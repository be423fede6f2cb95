import type { AwaitEvent, BatchDocument, EventMap, JobDocument } from './types.js';
import type { Watch } from './watch.js';
interface Options {
    signal?: AbortSignal;
}
export declare class Channel<M extends object = EventMap> {
    protected watch_: Watch;
    /** @internal */
    constructor(watch_: Watch);
    get channel(): string;
    get cursor(): string | undefined;
    get ended(): boolean;
    get polls(): number;
    get connected(): boolean;
    subscribe(on: (event: AwaitEvent<M>) => void, onEnd?: (error?: unknown) => void): () => void;
    events({ signal }?: Options): AsyncGenerator<AwaitEvent<M>, void, undefined>;
}
declare class Submitted<M extends object, Document> extends Channel<M> {
    readonly id: string;
    readonly url: string;
    protected readonly resultUrl_: string;
    /** @internal */
    constructor(watch: Watch, id: string, url: string, resultUrl_: string);
    document(options?: Options): Promise<Document>;
    cancel(options?: Options): Promise<Document>;
    private call_;
}
export declare class Job<M extends object = EventMap> extends Submitted<M, JobDocument> {
    result(options?: Options): Promise<Response>;
}
export declare class Batch<M extends object = EventMap> extends Submitted<M, BatchDocument> {
    done(options?: Options): Promise<BatchDocument>;
}
export {};
