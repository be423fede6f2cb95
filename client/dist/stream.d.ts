import type { Hub } from './hub.js';
import type { Watch } from './watch.js';
export declare function hold(hub: Hub, watch: Watch, signal: AbortSignal): Promise<void>;
