import type { Hub } from './hub.js';
import type { RawEvent } from './types.js';
import type { JobError } from './errors.js';
import { type Http } from './http.js';
import type { Watch } from './watch.js';
export declare function fill(hub: Hub): void;
export declare function refused(hub: Hub, watch: Watch, { status, detail }: RawEvent): void;
export declare function poll(hub: Hub, watch: Watch): Promise<boolean>;
export declare function result(http: Http, url: string, channel: string, type: string, signal: AbortSignal, Failure: typeof JobError): Promise<Response>;
