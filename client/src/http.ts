import { ProblemError } from './errors.js';
import { retryAfter } from './pause.js';
import type { ClientOptions } from './types.js';

interface Init extends RequestInit { headers?: Record<string, string> }

/// Requests of one client: its headers, its credentials, and a ticket where one is asked for.
export class Http {
  constructor(readonly options_: ClientOptions) {}

  url_(path: string, base: string | undefined = this.options_.base ?? globalThis.document?.baseURI): string {
    return new URL(path, base).href;
  }

  async headers_(more?: Record<string, string>): Promise<Record<string, string>> {
    const { headers } = this.options_;
    return { ...(typeof headers === 'function' ? await headers() : headers), ...more };
  }

  /// @param channel  what a ticket is for
  async fetch_(url: string, init: Init, channel?: string): Promise<Response> {
    const { credentials, ticket, fetch = globalThis.fetch } = this.options_;
    const request: RequestInit = { cache: 'no-store', credentials, ...init, headers: await this.headers_(init.headers) };
    const answer = await fetch(url, request);
    return answer.status === 401 && ticket && channel && /^ticket/i.test(answer.headers.get('WWW-Authenticate')!)
      ? fetch(withQuery(url, { ticket: await this.ticket_([channel], init.signal!) }), request) : answer;
  }

  /// The same, but what is no success is thrown as a ProblemError.
  async send_(url: string, init: Init, channel?: string): Promise<Response> {
    return succeeded(await this.fetch_(url, init, channel));
  }

  async ticket_(channels: string[], signal: AbortSignal): Promise<string> {
    const { ticket } = this.options_;
    if (typeof ticket === 'function') return ticket(channels, signal);
    const body = channels[0] ? JSON.stringify({ channels }) : null;
    return (await (await this.send_(this.url_(ticket!), { method: 'POST', signal, body })).json()).ticket;
  }
}

export async function succeeded(answer: Response, Failure = ProblemError): Promise<Response> {
  if (!answer.ok) throw new Failure((await answer.json().catch(() => 0)) || {}, answer.status, retryAfter(answer));
  return answer;
}

export function withQuery(url: string, members: Record<string, string | undefined>): string {
  const to = new URL(url);
  for (const name in members) if (members[name]) to.searchParams.set(name, members[name]!);
  return to.href;
}
