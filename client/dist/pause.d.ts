export declare const grow: (pause: number, most: number) => number;
export declare const jitter: (ms: number) => number;
export declare const later: (call: () => void, ms: number) => number;
export declare function sleep(ms: number, signal?: AbortSignal): Promise<void>;
export declare const retryAfter: (answer: Response) => number;
export declare function follow(end: () => void, signal?: AbortSignal | null): () => void | undefined;
