import type { RawEvent, Source } from './nginx-await.js';
export interface WorkflowEvent {
    type: string;
    run_id: string;
    seq: number;
    timestamp: number;
    node_id?: string;
    [member: string]: unknown;
}
export interface WorkflowOptions {
    socket?: string;
    events?: string;
    hidden?: number;
}
export declare const isLast: ({ type }: RawEvent) => boolean;
export declare function workflow(runId: string, username: string, options?: WorkflowOptions): Source;
