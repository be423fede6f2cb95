import { NetworkError, ProblemError } from './errors.js';
import { type Http, reached, succeeded } from './http.js';
import { grow, jitter, sleep } from './pause.js';
import type { SubmitOptions } from './types.js';

const REPEATED = [409, 429, 502, 503, 504];

/// Sends a submission, with an Idempotency-Key, until it is answered: the job is made once, however often it is sent.
export async function submit(http: Http, url: string, body: BodyInit | null, options: SubmitOptions): Promise<Response> {
  const signal = http.signal_(options.signal);
  const key = options.key ?? [...crypto.getRandomValues(new Uint32Array(4))].join('-');
  const request = { method: 'POST', signal, body, headers: { 'Idempotency-Key': `"${key}"`, ...options.headers }, duplex: 'half' };
  const end = Date.now() + (options.timeout ?? http.options_.timeout ?? 60000);
  for (let pause = 1000; ; pause = grow(pause, 30000)) {
    try {
      signal.throwIfAborted();
      return await succeeded(await transmit(http, url, request, options.onUploadProgress));
    } catch (error: any) {
      const { status, after } = error;
      const wait = after > 0 ? after : jitter(pause);
      // without a Retry-After, a conflict stays one; a stream can be sent once
      const again = error instanceof NetworkError || (error instanceof ProblemError && REPEATED.includes(status) && (status !== 409 || after >= 0));
      if (!again || isStream(body) || Date.now() + wait > end) throw error;
      await sleep(wait, signal);
    }
  }
}

export const isStream = (body: any) => body instanceof ReadableStream || body?.[Symbol.asyncIterator];

async function transmit(http: Http, url: string, request: RequestInit & { headers: Record<string, string>; signal: AbortSignal }, onProgress: SubmitOptions['onUploadProgress']) {
  if (!onProgress) return http.fetch_(url, request);
  const headers = await http.headers_(request.headers);
  return reached(import('./upload.js').then(({ upload }) => upload(url, { credentials: http.options_.credentials, ...request, headers }, onProgress, http.options_.fetch)), request.signal);
}
