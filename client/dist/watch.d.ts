import type { Hub } from './hub.js';
import type { Link } from './link.js';
import type { RawEvent, Source } from './types.js';
export interface Listener {
    event(event: RawEvent): void;
    end(error?: unknown): void;
}
export declare class Watch {
    readonly hub_: Hub;
    readonly source_: Source;
    log_: RawEvent[];
    listeners_: Set<Listener>;
    cursor_?: string;
    ended_: boolean;
    error_: unknown;
    polls_: number;
    link_?: Link;
    subscribed_: boolean;
    stream_?: AbortController | undefined;
    mode_: number;
    version_: number;
    taken_: number;
    again_: number;
    private last_;
    private seen_;
    private pause_;
    private timer_?;
    private polling_?;
    abort_: AbortController;
    constructor(hub_: Hub, source_: Source);
    get active_(): boolean;
    get isNumbered_(): boolean;
    attach_(listener: Listener): () => void;
    heard_(): void;
    take_(event: RawEvent, isPush: boolean): undefined;
    moveTo_(cursor?: string): void;
    reset_({ cursor, state }: {
        cursor?: string;
        state?: string;
    }): void;
    end_(error?: unknown): void;
    rest_(): void;
    cancel_(): void;
    arm_(): void;
    private get canAsk_();
    ask_(): undefined;
    answered_(cursor?: string): undefined;
    poll_(): Promise<void> | void;
    private tell_;
}
