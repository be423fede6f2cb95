import { type Batch, type Client, type EventMap, Job, type SubmitOptions } from './nginx-await.js';
import { type Snapshot } from './store.js';
import { type WorkflowEvent, type WorkflowOptions } from './workflow.js';
export type { Snapshot, WorkflowEvent };
interface With {
    client?: Client;
}
type PlaceOptions = With & {
    socket?: string | false;
    cursor?: string;
};
export interface JobView<M extends object = EventMap> extends Snapshot<M> {
    job: Job<M> | null;
    cancel(): Promise<unknown>;
}
export declare function useJob<M extends object = EventMap>(reference: Job<M> | string | null | undefined, options?: PlaceOptions): JobView<M>;
export declare function useJobs<M extends object = EventMap>(references: readonly (Job<M> | string)[], options?: PlaceOptions): readonly Snapshot<M>[];
export declare function useBatch<M extends object = EventMap>(reference: Batch<M> | string | null | undefined, options?: PlaceOptions): Snapshot<M> & {
    batch: Batch<M> | null;
};
export declare function useTopic<M extends object = EventMap>(name: string, options: PlaceOptions & {
    events?: string;
}): Snapshot<M>;
export interface SubmitView<M extends object = EventMap> {
    submit(body: BodyInit | object | null, options?: SubmitOptions): Promise<Job<M>>;
    job: Job<M> | null;
    submitting: boolean;
    upload: {
        loaded: number;
        total: number;
    } | null;
    error: unknown;
}
export declare function useSubmit<M extends object = EventMap>(url: string, options?: SubmitOptions & With): SubmitView<M>;
export interface WorkflowView {
    events: readonly WorkflowEvent[];
    status: string;
    ended: boolean;
    error: unknown;
    polls: number;
}
export declare function useWorkflowEvents(runId: string | null | undefined, username: string, options?: WorkflowOptions & With): WorkflowView;
