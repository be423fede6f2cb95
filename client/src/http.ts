import { NetworkError, ProblemError } from './errors.js';
import { retryAfter } from './pause.js';
import type { ClientOptions } from './types.js';

interface Init extends RequestInit { headers?: Record<string, string> }

/// Requests of one client: its headers, its credentials, and a ticket where one is asked for.
export class Http {
  closed_!: AbortSignal;
  private given_ = new Set<string>();   // origins

  constructor(readonly options_: ClientOptions) {}

  /// Aborts when the client is closed, too.
  signal_(signal?: AbortSignal | null) { return AbortSignal.any(signal ? [this.closed_, signal] : [this.closed_]); }

  /// A URL that the application has given: its origin gets headers and tickets, unlike others that an answer names.
  give_(path: string): string {
    const url = this.url_(path);
    this.given_.add(origin(url));
    return url;
  }

  isGiven_(url: string) { return this.given_.has(origin(url)); }

  url_(path: string, base: string | undefined = this.options_.base ?? globalThis.document?.baseURI): string {
    return new URL(path, base).href;
  }

  async headers_(more?: Record<string, string>): Promise<Record<string, string>> {
    const { headers } = this.options_;
    const all = { ...(typeof headers === 'function' ? await headers() : headers), ...more };
    new Headers(all);   // throws if one cannot be sent
    return all;
  }

  /// @param channel  what a ticket is for
  async fetch_(url: string, init: Init, channel?: string): Promise<Response> {
    const { credentials, ticket, fetch = globalThis.fetch } = this.options_;
    const isGiven = this.isGiven_(url);
    const signal = this.signal_(init.signal);
    const request: RequestInit = { cache: 'no-store', ...(isGiven && { credentials }), ...init, signal, headers: isGiven ? await this.headers_(init.headers) : init.headers };
    const answer = await reached(fetch(url, request), signal);
    return isGiven && answer.status === 401 && ticket && channel && /^ticket/i.test(answer.headers.get('WWW-Authenticate')!)
      ? reached(fetch(withQuery(url, { ticket: await this.ticket_([channel], signal) }), request), signal) : answer;
  }

  /// The same, but what is no success is thrown as a ProblemError.
  async send_(url: string, init: Init, channel?: string): Promise<Response> {
    return succeeded(await this.fetch_(url, init, channel));
  }

  async ticket_(channels: string[], signal: AbortSignal): Promise<string> {
    const { ticket } = this.options_;
    if (typeof ticket === 'function') return ticket(channels, signal);
    const body = channels[0] ? JSON.stringify({ channels }) : null;
    return (await (await this.send_(this.give_(ticket!), { method: 'POST', signal, body })).json()).ticket;
  }
}

const origin = (url: string) => new URL(url).origin.replace(/^ws/, 'http');

/// What the network throws is a NetworkError, an abort its reason.
export const reached = (answer: Promise<Response>, signal: AbortSignal): Promise<Response> => answer.catch((cause) => {
  signal.throwIfAborted();
  throw new NetworkError('Server unreachable', { cause });
});

export async function succeeded(answer: Response): Promise<Response> {
  if (!answer.ok) throw new ProblemError((await answer.json().catch(() => 0)) || {}, answer.status, retryAfter(answer));
  return answer;
}

export function withQuery(url: string, members: Record<string, string | undefined>): string {
  const to = new URL(url);
  for (const name in members) if (members[name]) to.searchParams.set(name, members[name]!);
  return to.href;
}
