export declare class SharedWebSocket {
    readonly url: string;
    readonly protocol?: string | undefined;
    onopen: (() => void) | null;
    onmessage: ((message: {
        data: string;
    }) => void) | null;
    onclose: ((event: {
        code: number;
    }) => void) | null;
    readyState: number;
    private readonly id;
    private readonly name;
    private readonly channel;
    private readonly waiting;
    private timer?;
    private socket?;
    private release?;
    private readonly shared;
    constructor(url: string, protocol?: string | undefined);
    send(text: string): void;
    close(): void;
    private greet;
    private post;
    private queue;
    private lead;
    private opened;
    private end;
    private heard;
    private up;
    private down;
    private tell;
}
