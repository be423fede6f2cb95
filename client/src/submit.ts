import { NetworkError, ProblemError } from './errors.js';
import { type Http, succeeded } from './http.js';
import { follow, grow, jitter, sleep } from './pause.js';
import type { SubmitOptions } from './types.js';

const REPEATED = [409, 429, 502, 503, 504];

/// Sends a submission, with an Idempotency-Key, until it is answered: the job is made once, however often it is sent.
export async function submit(http: Http, url: string, body: BodyInit | null, options: SubmitOptions, closed: AbortSignal): Promise<Response> {
  const abort = new AbortController();
  const { signal } = abort;
  const unfollow = [closed, options.signal].map((each) => follow(() => abort.abort(each!.reason), each));
  const key = options.key ?? [...crypto.getRandomValues(new Uint32Array(4))].join('-');
  const request = { method: 'POST', signal, body, headers: { 'Idempotency-Key': `"${key}"`, ...options.headers }, duplex: 'half' };
  const end = Date.now() + (options.timeout ?? http.options_.timeout ?? 60000);
  try {
    for (let pause = 1000; ; pause = grow(pause, 30000)) {
      let failure: any;
      signal.throwIfAborted();
      try {
        return await succeeded(await transmit(http, url, request, options.onUploadProgress));
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
      // without a Retry-After, a conflict stays one
      const { status, after } = failure;
      if (!(failure instanceof ProblemError)) failure = new NetworkError('Server unreachable', { cause: failure });
      else if (!REPEATED.includes(status) || (status === 409 && !(after >= 0))) throw failure;
      const wait = after || jitter(pause);
      if (body instanceof ReadableStream || Date.now() + wait > end) throw failure;
      await sleep(wait, signal);
    }
  } finally {
    unfollow.forEach((each) => each());
  }
}

async function transmit(http: Http, url: string, request: RequestInit & { headers: Record<string, string> }, onProgress: SubmitOptions['onUploadProgress']) {
  if (!onProgress || !globalThis.XMLHttpRequest) return http.fetch_(url, request);
  const { upload } = await import('./upload.js');
  return upload(url, { credentials: http.options_.credentials, ...request, headers: await http.headers_(request.headers) }, onProgress);
}
