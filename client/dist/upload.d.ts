type Progress = (progress: {
    loaded: number;
    total: number;
}) => void;
export declare function upload(url: string, request: RequestInit, onProgress: Progress, fetch?: typeof globalThis.fetch): Promise<Response>;
export {};
