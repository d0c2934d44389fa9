import type { ErrorDetail, Subscribed } from '../hooks/types';
import type { Channel } from './channel';
import type { Connection, Lease } from './connection';
import { isTemporary, refusalOf, toError } from './errors';
import type { Http, Memo } from './http';
import type { Kind } from './kind';
import type { Incoming, Ordering, Resume, Sequenced, Step } from './ordering';
import type { Milliseconds } from './poller';
import { Poller } from './poller';
import type { Undo } from './undo';
import { all, once } from './undo';

/** What a listener sees; replaced, never changed. */
export interface Snapshot<State> {
  readonly state: State;
  readonly connected: boolean;
  readonly isPolling: boolean;
  readonly error: Error | null;
}

export interface ListenOptions {
  /** Milliseconds between polls while there is no push; 0 for none. Default: the server's. */
  readonly pollingInterval?: number;
  /** How many entries this listener wants. */
  readonly limit?: number;
}

export interface Services {
  readonly connection: Connection;
  readonly http: Http;
}

const DEFAULT_LIMIT = 50;

export function initialSnapshot<State>(state: State): Snapshot<State> {
  return { state, connected: false, isPolling: false, error: null };
}

/**
 * One topic as this page sees it: subscribed while anybody listens, by push when there is a
 * connection and by polling when there is none. Both ways end in the same ordering.
 */
export class Topic<State, Page extends Sequenced, Event extends Incoming> {
  snapshot: Snapshot<State>;
  private readonly ordering: Ordering<Event>;
  private readonly poller: Poller;
  private readonly listeners = new Map<object, [() => void, ListenOptions]>();
  private readonly memo: Memo = {};
  private lease: Lease | undefined;
  private close: Undo | undefined;
  /** Ends what is under way when the last listener leaves. */
  private closing = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** The subscription that the server has not answered yet, and what it asked for. */
  private awaiting: { readonly resume: Resume | undefined } | undefined;
  private resyncedFrom: string | undefined;
  /** Changes made ahead of the server: how many so far, and how many it has not answered yet. */
  private changes = 0;
  private pending = 0;
  private stale = false;

  constructor(
    readonly kind: Kind<State, Page, Event>,
    readonly id: string,
    private readonly services: Services,
  ) {
    this.snapshot = initialSnapshot(kind.initial);
    this.ordering = kind.ordering();
    this.poller = new Poller(
      (signal) => this.read(signal, this.memo),
      () => this.pollingInterval(),
      (reason) => {
        this.publish({ error: toError(reason) });
      },
    );
  }

  /** The first listener subscribes, the last one unsubscribes; returns its own undo. */
  listen(listener: () => void, options: ListenOptions): Undo {
    const key = {};
    this.listeners.set(key, [listener, options]);
    this.close ??= this.open();
    return once(() => {
      this.listeners.delete(key);
      if (this.listeners.size > 0) return;
      this.close?.();
      this.close = undefined;
    });
  }

  get idle(): boolean {
    return this.listeners.size === 0;
  }

  /** The channel to ask something of the server, while there is push. */
  get pushing(): Channel | undefined {
    return this.snapshot.connected ? this.lease?.channel : undefined;
  }

  /** Changes the state of this page alone. */
  update(change: (state: State) => State): void {
    this.publish({ state: change(this.snapshot.state) });
  }

  /** Changes the state ahead of the server; what the server refuses is reported and taken back. */
  async change(change: (state: State) => State, send: () => Promise<unknown>): Promise<void> {
    this.beginChange();
    this.update(change);
    try {
      await send();
    } catch (reason) {
      this.publish({ error: toError(reason) });
      this.stale = true;
    }
    this.endChange();
  }

  private beginChange(): void {
    this.changes += 1;
    this.pending += 1;
  }

  private endChange(): void {
    this.pending -= 1;
    if (this.stale) this.reread();
  }

  /** A page that was under way during a change may be from before it, and is read again. */
  private reread(): void {
    this.stale = this.pending > 0;
    delete this.memo.etag;
    if (!this.stale && !this.closing.signal.aborted) this.refresh();
  }

  private open(): Undo {
    const { connection } = this.services;
    const lease = connection.lease(this.kind.namespace, this.kind.ownSocket);
    this.lease = lease;
    this.closing = new AbortController();
    const undo = this.register(lease.channel);
    // A connection attempt can hang instead of failing; do not wait for it without end.
    this.later(() => {
      if (!this.snapshot.connected) this.fallBack();
    }, connection.config.pollingInterval);
    if (lease.channel.connected) this.onConnect();
    return () => {
      this.stop(lease.channel);
      all([undo, lease.release])();
    };
  }

  private stop(channel: Channel): void {
    clearTimeout(this.timer);
    this.closing.abort();
    this.poller.stop();
    if (this.snapshot.connected) channel.emit(this.kind.unsubscribeEvent, this.id);
    this.snapshot = { ...this.snapshot, connected: false, isPolling: false };
  }

  private register(channel: Channel): Undo {
    const events = this.kind.events.map((name) =>
      channel.on(name, (data: unknown) => {
        this.onEvent(name, data);
      }),
    );
    return all([
      channel.on('connect', this.onConnect),
      channel.on('disconnect', this.onDisconnect),
      channel.on('connect_error', this.onConnectError),
      channel.on('subscribed', this.onSubscribed),
      channel.on('subscription-error', this.onRefused),
      ...events,
    ]);
  }

  private readonly onConnect = (): void => {
    this.poller.stop();
    this.publish({ connected: true, isPolling: false, error: null });
    this.subscribe(this.ordering.resume());
  };

  private readonly onDisconnect = (): void => {
    this.awaiting = undefined;
    this.publish({ connected: false });
    this.fallBack();
  };

  /** That nobody answers is no error of its own: `isPolling` says it. A refusal is. */
  private readonly onConnectError = (reason?: Error & { data?: Partial<ErrorDetail> }): void => {
    this.fallBack();
    if (!this.lease?.channel.refused) return;
    const refusal = { code: 'unauthenticated', message: 'connection refused', ...reason?.data } as const;
    this.publish({ error: refusalOf({ ...refusal, message: reason?.message ?? refusal.message }) });
  };

  private readonly onSubscribed = (answer: Subscribed): void => {
    if (!this.isAddressed(answer)) return;
    const asked = this.awaiting?.resume !== undefined;
    this.awaiting = undefined;
    this.poller.stop();
    const step = this.ordering.subscribed({ ...answer, recovered: asked && answer.recovered });
    this.publish({ isPolling: false, error: null, state: this.taken(step) });
    this.follow(step);
    if (step.reset && this.kind.readAfterReset) this.refresh();
  };

  private readonly onRefused = (refusal: ErrorDetail): void => {
    if (!this.isAddressed(refusal)) return;
    this.awaiting = undefined;
    this.publish({ error: refusalOf(refusal) });
    if (!isTemporary(refusal.code)) return;
    this.fallBack();
    this.later(() => {
      this.subscribe(this.ordering.resume());
    }, refusal.retryAfterMs ?? this.services.connection.config.reconnectionDelayMax);
  };

  private onEvent(name: string, data: unknown): void {
    if (typeof data !== 'object' || data === null) return;
    if (!this.kind.concerns(this.id, data)) return;
    const step = this.ordering.receive({ name, data } as unknown as Event);
    this.publish({ state: this.taken(step) });
    this.follow(step);
  }

  /** The state after a step. */
  private taken(step: Step<Event>): State {
    const { state } = this.snapshot;
    return this.folded(step.reset ? this.kind.reset(state) : state, step.apply);
  }

  private folded(state: State, events: readonly Event[]): State {
    const limit = this.limit();
    return events.reduce((state, event) => this.kind.fold(state, event, limit), state);
  }

  private follow(step: Step<Event>): void {
    if (step.resync) this.resync();
  }

  /** Asks for what is missing; if that was no help before, for everything. */
  private resync(): void {
    if (!this.snapshot.connected || this.awaiting) return;
    const resume = this.ordering.resume();
    const from = JSON.stringify(resume);
    this.subscribe(from === this.resyncedFrom ? undefined : resume);
    this.resyncedFrom = from;
  }

  private subscribe(resume: Resume | undefined): void {
    if (!this.snapshot.connected) return;
    const { subscribeEvent, idField } = this.kind;
    this.awaiting = { resume };
    // The bare id is what the guide's own server understands.
    const argument = resume ? { [idField]: this.id, ...resume } : this.id;
    this.lease?.channel.emit(subscribeEvent, argument);
  }

  private fallBack(): void {
    if (this.pollingInterval() === 0) return;
    this.poller.start();
    this.publish({ isPolling: true });
  }

  /** Reads the state once, beside the push; what is pushed meanwhile is not lost. */
  private refresh(): void {
    void this.read(this.closing.signal).catch(() => {
      // The push is there and carries the state too; polling would report what is wrong.
    });
  }

  private async read(signal: AbortSignal, memo?: Memo): Promise<void> {
    const asked = this.ordering.epoch;
    const { changes, pending } = this;
    const path = this.kind.path(this.id, this.limit());
    const page = await this.services.http.read<Page>(path, { signal, ...(memo && { memo }) });
    if (signal.aborted) return;
    if (!this.snapshot.connected) this.publish({ error: null });
    if (!page) return;
    if (pending > 0 || changes !== this.changes) this.reread();
    else this.onPage(page, asked);
  }

  private onPage(page: Page, asked: string | undefined): void {
    const current = this.ordering.epoch;
    // The topic went to a new epoch while this page of an older one was under way.
    if (page.epoch !== current && asked !== current) return;
    const step = this.ordering.polled(page);
    if (!step) return;
    const state = this.kind.replace(this.snapshot.state, page, this.limit());
    this.publish({ state: this.folded(state, step.apply) });
    this.follow(step);
  }

  /** Answers name their topic; one that does not is for whoever waits for an answer. */
  private isAddressed(answer: object): boolean {
    const id = (answer as Record<string, unknown>)[this.kind.idField];
    return id === undefined ? this.awaiting !== undefined : id === this.id;
  }

  private pollingInterval(): Milliseconds {
    const fromServer = this.services.connection.config.pollingInterval;
    const wanted = this.options().map((options) => options.pollingInterval ?? fromServer);
    const active = wanted.filter((interval) => interval > 0);
    return active.length > 0 ? Math.min(...active) : 0;
  }

  private limit(): number {
    return Math.max(...this.options().map((options) => options.limit ?? DEFAULT_LIMIT), 1);
  }

  private options(): ListenOptions[] {
    return [...this.listeners.values()].map(([, options]) => options);
  }

  private later(action: () => void, delay: Milliseconds): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(action, delay);
  }

  private publish(change: Partial<Snapshot<State>>): void {
    const next = { ...this.snapshot, ...change };
    if (unchanged(this.snapshot, next)) return;
    this.snapshot = next;
    for (const [listener] of [...this.listeners.values()]) listener();
  }
}

function unchanged<State>(before: Snapshot<State>, after: Snapshot<State>): boolean {
  return (
    before.state === after.state &&
    before.connected === after.connected &&
    before.isPolling === after.isPolling &&
    before.error === after.error
  );
}
