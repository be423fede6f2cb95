import { ProblemError } from './errors.js';
import type { ClientOptions } from './types.js';
interface Init extends RequestInit {
    headers?: Record<string, string>;
}
export declare class Http {
    readonly options_: ClientOptions;
    constructor(options_: ClientOptions);
    url_(path: string, base?: string | undefined): string;
    headers_(more?: Record<string, string>): Promise<Record<string, string>>;
    fetch_(url: string, init: Init, channel?: string): Promise<Response>;
    send_(url: string, init: Init, channel?: string): Promise<Response>;
    ticket_(channels: string[], signal: AbortSignal): Promise<string>;
}
export declare function succeeded(answer: Response, Failure?: typeof ProblemError): Promise<Response>;
export declare function withQuery(url: string, members: Record<string, string | undefined>): string;
export {};
