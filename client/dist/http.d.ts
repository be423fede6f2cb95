import type { ClientOptions } from './types.js';
interface Init extends RequestInit {
    headers?: Record<string, string>;
}
export declare class Http {
    readonly options_: ClientOptions;
    closed_: AbortSignal;
    private given_;
    constructor(options_: ClientOptions);
    signal_(signal?: AbortSignal | null): AbortSignal;
    give_(path: string): string;
    isGiven_(url: string): boolean;
    url_(path: string, base?: string | undefined): string;
    headers_(more?: Record<string, string>): Promise<Record<string, string>>;
    fetch_(url: string, init: Init, channel?: string): Promise<Response>;
    send_(url: string, init: Init, channel?: string): Promise<Response>;
    ticket_(channels: string[], signal: AbortSignal): Promise<string>;
}
export declare const reached: (answer: Promise<Response>, signal: AbortSignal) => Promise<Response>;
export declare function succeeded(answer: Response): Promise<Response>;
export declare function withQuery(url: string, members: Record<string, string | undefined>): string;
export {};
