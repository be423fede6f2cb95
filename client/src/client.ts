import { AwaitError } from './errors.js';
import { Http } from './http.js';
import { Hub } from './hub.js';
import { Batch, Channel, Job } from './job.js';
import { isStream, submit } from './submit.js';
import type { ClientOptions, EventMap, Source, SubmitOptions } from './types.js';

export interface Place { socket?: string | false; cursor?: string }
export interface ChannelPlace extends Place { events?: string }
export interface Document { id?: string; links?: { self?: string; events?: string; result?: string } | null }
export interface BodyOptions extends SubmitOptions, Place {}
export type Body = BodyInit | object | null;

/// Connections of its own, shared by all that it watches.
export class Client {
  private http_: Http;
  private hub_: Hub;

  constructor(options: ClientOptions = {}) {
    this.http_ = new Http(options);
    this.hub_ = new Hub(this.http_);
  }

  /// Submits a job. An object is sent as JSON; whatever fetch() sends is sent as it is.
  async submit<M extends object = EventMap>(url: string, body: Body = null, options: BodyOptions = {}): Promise<Job<M>> {
    return new Job<M>(...await this.submit_('job', url, body, options));
  }

  /// Submits a batch: `{ jobs: […] }`, or a form with files.
  async submitBatch<M extends object = EventMap>(url: string, body: Body, options: BodyOptions = {}): Promise<Batch<M>> {
    return new Batch<M>(...await this.submit_('batch', url, body, options));
  }

  /// A job that there is: its URL, or its document.
  job<M extends object = EventMap>(reference: string | Document, options: Place = {}): Job<M> {
    return new Job<M>(...this.place_('job', this.give_(reference), options));
  }

  batch<M extends object = EventMap>(reference: string | Document, options: Place = {}): Batch<M> {
    return new Batch<M>(...this.place_('batch', this.give_(reference), options));
  }

  /// `place` has the URLs of a WebSocket and of an event stream of the topic, or one of them.
  topic<M extends object = EventMap>(name: string, place: ChannelPlace = {}): Channel<M> {
    return this.watch<M>({ channel: `topic:${name}`, ...place });
  }

  /// All jobs and batches of a user.
  user<M extends object = EventMap>(name: string, place: ChannelPlace = {}): Channel<M> {
    return this.watch<M>({ channel: `user:${name}`, ...place });
  }

  /// Endpoints of any shape, such as a plain socket with events of another format.
  watch<M extends object = EventMap>(source: Source): Channel<M> {
    const { events, socket = this.http_.options_.socket } = source;
    for (const url of [events, socket]) if (url) this.http_.give_(url);
    return new Channel<M>(this.hub_.watch_({ ...source, socket }));
  }

  /// Ends all: connections, requests, and the loops over events, which throw an AbortError. Nothing happens afterwards.
  close(): void {
    this.hub_.close_(new DOMException('The client is closed.', 'AbortError'));
  }

  private async submit_(kind: 'job' | 'batch', url: string, body: Body, options: BodyOptions) {
    const at = this.http_.give_(url);
    let { headers } = options;
    // what fetch() takes has a tag of its own
    if (Object(body) === body && !isStream(body) && !/Blob|File|Form|Params|Stream|Buffer|View|.Array/.test({}.toString.call(body).slice(8))) {
      body = JSON.stringify(body);
      headers = { 'Content-Type': 'application/json', ...headers };
    }
    const answer = await submit(this.http_, at, body as BodyInit, { ...options, headers });
    const { id, links }: Document = (await answer.json().catch(() => 0)) || {};
    const self = answer.headers.get('Location') ?? links?.self;
    return this.place_(kind, { id, links: { ...links, self: self && this.http_.url_(self, answer.url || at) } }, options);
  }

  private give_(reference: string | Document): Document {
    const document = typeof reference === 'string' ? { links: { self: reference } } : reference;
    if (document.links?.self) this.http_.give_(document.links.self);
    return document;
  }

  private place_(kind: 'job' | 'batch', { id, links }: Document, { cursor, socket = this.http_.options_.socket }: Place): ConstructorParameters<typeof Job> {
    const { self, events, result } = links ?? {};
    if (socket) this.http_.give_(socket);
    if (!self) throw new AwaitError('The document has no links.self.');
    // what is in the query, such as whose it is, goes with all of its URLs
    const [, url, query] = /([^?#]*)([^#]*)/.exec(this.http_.url_(self))!;
    const name = id ?? url!.split('/').pop()!;
    // links are relative to the URL of the request, which may be of another origin
    const beside = (path: string | undefined, other: string) => this.http_.url_(path || other + query, url);
    const source = {
      channel: `${kind}:${name}`, events: beside(events, `${url}/events`), cursor,
      socket: socket ?? beside('', kind === 'job' ? 'socket' : '../socket'),
    };
    return [this.hub_.watch_(source), name, url! + query, beside(result, `${url}/result`)];
  }
}
