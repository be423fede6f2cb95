import type { Problem } from './types.js';
export declare class AwaitError extends Error {
    name: string;
}
export declare class NetworkError extends AwaitError {
    name: string;
}
export declare class ProblemError extends AwaitError {
    readonly problem: Problem;
    readonly status: number;
    readonly after?: number | undefined;
    name: string;
    constructor(problem: Problem, status: number, after?: number | undefined);
}
export declare class JobError extends ProblemError {
    name: string;
}
