type Progress = (progress: {
    loaded: number;
    total: number;
}) => void;
export declare function upload(url: string, { method, headers, body, signal, credentials }: RequestInit, onProgress: Progress): Promise<Response>;
export {};
