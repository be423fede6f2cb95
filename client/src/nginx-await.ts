import { Client } from './client.js';
import type { ClientOptions } from './types.js';

export { AwaitError, JobError, NetworkError, ProblemError } from './errors.js';
export { Batch, Channel, Job } from './job.js';
export { Client };
export type {
  AwaitEvent, BatchDocument, BuiltIn, ClientOptions, EventMap, JobDocument, Problem, RawEvent, ResetEvent, ResultInfo, Source, State, SubmitOptions,
  Totals,
} from './types.js';

export const createClient = (options?: ClientOptions) => new Client(options);

let shared: Client | undefined;
/// The client of those who make none of their own: made when it is first used.
export const defaultClient = () => (shared ??= new Client());

export const submit: Client['submit'] = (...args) => defaultClient().submit(...args);
export const submitBatch: Client['submitBatch'] = (...args) => defaultClient().submitBatch(...args);
export const job: Client['job'] = (...args) => defaultClient().job(...args);
export const batch: Client['batch'] = (...args) => defaultClient().batch(...args);
export const topic: Client['topic'] = (...args) => defaultClient().topic(...args);
export const user: Client['user'] = (...args) => defaultClient().user(...args);
