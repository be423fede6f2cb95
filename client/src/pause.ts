// Time: pauses that grow, are jittered, and end with a signal.

export const grow = (pause: number, most: number) => Math.min(most, pause * 1.5);
/// Between ¾ and 5/4 of it, so that clients do not come back all at once.
export const jitter = (ms: number) => ms * (0.75 + Math.random() / 2);

/// An hour at most, whatever a server says; and a timer of more than 2^31 - 1 ms would fire at once.
export const later = (call: () => void, ms: number) => setTimeout(call, Math.min(ms, 36e5));

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    signal?.throwIfAborted();
    const unfollow = follow(() => { clearTimeout(timer); fail(signal!.reason); }, signal);
    const timer = later(() => { unfollow(); done(); }, ms);
  });
}

/// ms of a Retry-After in seconds; NaN: there is none.
export const retryAfter = (answer: Response) => 1000 * parseInt(answer.headers.get('Retry-After')!);

/// Calls `end` when `signal`, which has not, aborts. Call the result when they have nothing to do with each other any more.
export function follow(end: () => void, signal?: AbortSignal | null) {
  signal?.addEventListener('abort', end);
  return () => signal?.removeEventListener('abort', end);
}
