import { Batch, Channel, Job } from './job.js';
import type { ClientOptions, EventMap, Source, SubmitOptions } from './types.js';
export interface Place {
    socket?: string | false;
    cursor?: string;
}
export interface ChannelPlace extends Place {
    events?: string;
}
export interface Document {
    id?: string;
    links?: {
        self?: string;
        events?: string;
        result?: string;
    } | null;
}
export interface BodyOptions extends SubmitOptions, Place {
}
export type Body = BodyInit | object | null;
export declare class Client {
    private http_;
    private hub_;
    constructor(options?: ClientOptions);
    submit<M extends object = EventMap>(url: string, body?: Body, options?: BodyOptions): Promise<Job<M>>;
    submitBatch<M extends object = EventMap>(url: string, body: Body, options?: BodyOptions): Promise<Batch<M>>;
    job<M extends object = EventMap>(reference: string | Document, options?: Place): Job<M>;
    batch<M extends object = EventMap>(reference: string | Document, options?: Place): Batch<M>;
    topic<M extends object = EventMap>(name: string, place?: ChannelPlace): Channel<M>;
    user<M extends object = EventMap>(name: string, place?: ChannelPlace): Channel<M>;
    watch<M extends object = EventMap>(source: Source): Channel<M>;
    close(): void;
    private submit_;
    private give_;
    private place_;
}
