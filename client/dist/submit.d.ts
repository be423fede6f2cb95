import { type Http } from './http.js';
import type { SubmitOptions } from './types.js';
export declare function submit(http: Http, url: string, body: BodyInit | null, options: SubmitOptions): Promise<Response>;
export declare const isStream: (body: any) => any;
