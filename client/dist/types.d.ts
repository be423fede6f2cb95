export interface Problem {
    type?: string;
    title?: string;
    status?: number;
    detail?: string;
    instance?: string;
    request_id?: string;
    [member: string]: unknown;
}
export interface ResultInfo {
    type: string;
    size: number;
    name: string | null;
    value?: unknown;
}
export type State = 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled' | 'expired';
export interface Totals {
    total: number;
    done: number;
    open: number;
    completed: number;
    failed: number;
    cancelled: number;
    expired: number;
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
    links?: {
        self: string;
        result: string;
        events: string;
    };
}
export interface BatchDocument {
    id: string;
    state: State;
    status: string;
    ready: boolean;
    seq: number;
    totals: Totals;
    phases: Record<string, Totals> | null;
    summary: {
        completed: number;
        failed: number;
        cancelled: number;
        expired: number;
        failures: unknown[];
    };
    created_at: string;
    updated_at: string;
    finished_at: string | null;
    cursor: string;
    jobs: JobDocument[];
    next: string | null;
    links: {
        self: string;
        events: string;
    };
}
export interface BuiltIn {
    pending: null | {
        error?: Problem;
        retry_at?: string;
        max_attempts?: number;
        released?: boolean;
    };
    processing: null;
    progress: unknown;
    completed: null;
    failed: Problem;
    cancelled: unknown;
    expired: unknown;
    'batch.ready': Totals & {
        batch: string;
        failures: unknown[];
    };
}
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
export interface ResetEvent {
    type: 'reset';
    state: string;
    seq?: undefined;
    data?: undefined;
    at?: undefined;
}
type Merge<M> = string extends keyof M ? M : Omit<BuiltIn, keyof M> & M;
type Known<M> = {
    [K in keyof M & string]: Envelope & {
        type: K;
        data: M[K];
    };
}[keyof M & string];
export type AwaitEvent<M extends object = EventMap> = Known<Merge<M>> | ResetEvent;
export interface RawEvent {
    type?: string;
    seq?: number;
    cursor?: string;
    [member: string]: any;
}
export interface Page {
    events: RawEvent[];
    cursor?: string;
    state?: string;
    done?: boolean;
    reset?: boolean;
    status?: string;
}
type Maybe<T> = T | Promise<T>;
export interface ClientOptions {
    socket?: string | false;
    headers?: Record<string, string> | (() => Maybe<Record<string, string>>);
    ticket?: string | ((channels: string[], signal: AbortSignal) => Promise<string>);
    credentials?: RequestCredentials;
    quiet?: number;
    most?: number;
    linger?: number;
    timeout?: number;
    base?: string;
    fetch?: typeof fetch;
    WebSocket?: new (url: string, protocol?: string) => WebSocket;
}
export interface SubmitOptions {
    headers?: Record<string, string>;
    key?: string;
    signal?: AbortSignal;
    timeout?: number;
    onUploadProgress?: (progress: {
        loaded: number;
        total: number;
    }) => void;
}
export interface Source {
    channel: string;
    events?: string;
    socket?: string | false;
    cursor?: string;
    isLast?: (event: RawEvent) => boolean;
    channelOf?: (event: RawEvent) => string;
    hidden?: number;
}
export {};
