import type { ErrorDetail } from '../hooks/types';
import { refusalOf } from './errors';
import type { Milliseconds } from './poller';
import type { Undo } from './undo';
import { once } from './undo';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as socket.io-client types it
export type Handler = (...args: any[]) => void;

/**
 * The part of a socket.io-client socket that is used here. What is optional is missing in the
 * mocks that application tests put in its place.
 */
export interface SocketLike {
  readonly connected?: boolean;
  readonly active?: boolean;
  readonly io?: ManagerLike;
  on(event: string, handler: Handler): unknown;
  off(event: string): unknown;
  emit(event: string, ...args: unknown[]): unknown;
  connect?(): unknown;
  disconnect(): unknown;
}

export interface ManagerLike {
  reconnectionDelay?(delay: Milliseconds): unknown;
  reconnectionDelayMax?(delay: Milliseconds): unknown;
}

type Ack = { readonly ok: true } | { readonly ok: false; readonly error: ErrorDetail };

const ACK_TIMEOUT: Milliseconds = 5000;

/** One namespace over one socket, opened by its first user and closed by its last. */
export class Channel {
  users = 0;
  private socket: SocketLike | undefined;
  private readonly handlers = new Map<string, Set<Handler>>();
  private retry: ReturnType<typeof setTimeout> | undefined;
  /** What the server refused last on this connection. */
  private refusal: Partial<ErrorDetail> | undefined;

  constructor(
    private readonly create: () => SocketLike,
    /** How long to wait before connecting again where socket.io-client would give up. */
    private readonly retryDelay: () => Milliseconds,
  ) {}

  get connected(): boolean {
    return this.users > 0 && this.socket?.connected === true;
  }

  /** The server itself said no, so that socket.io-client does not try again. */
  get refused(): boolean {
    return this.socket?.active === false;
  }

  get manager(): ManagerLike | undefined {
    return this.socket?.io;
  }

  /** Returns its own undo. */
  open(): Undo {
    this.users += 1;
    if (this.users === 1) this.connect();
    return once(() => {
      this.users -= 1;
      if (this.users === 0) this.close();
    });
  }

  /** Returns its own undo. All handlers of an event share one registration on the socket. */
  on(event: string, handler: Handler): Undo {
    const handlers = this.handlers.get(event) ?? this.register(event);
    handlers.add(handler);
    return () => {
      handlers.delete(handler);
    };
  }

  emit(event: string, ...args: unknown[]): void {
    this.socket?.emit(event, ...args);
  }

  /** True once the server agreed; false when it did not answer; throws what it refused with. */
  async request(event: string, payload: object): Promise<boolean> {
    const ack = await this.acknowledged(event, payload);
    if (ack?.ok === false) throw refusalOf(ack.error);
    return ack !== undefined;
  }

  private acknowledged(event: string, payload: object): Promise<Ack | undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        resolve(undefined);
      }, ACK_TIMEOUT);
      this.emit(event, payload, (ack: Ack) => {
        clearTimeout(timer);
        resolve(ack);
      });
    });
  }

  private connect(): void {
    if (this.socket?.connect) {
      // A server may take a goodbye and a new hello in one breath for a protocol error.
      this.connectLater(0);
      return;
    }
    this.socket = this.create();
    this.handlers.clear();
    this.on('subscription-error', (refusal?: Partial<ErrorDetail>) => {
      this.refusal = refusal;
    });
    this.on('disconnect', (reason?: string) => {
      // The one reason after which socket.io-client does not come back by itself.
      if (reason === 'io server disconnect') this.connectLater(this.pauseAfter(this.refusal));
      this.refusal = undefined;
    });
    this.on('connect_error', (reason?: { data?: Partial<ErrorDetail> }) => {
      if (this.refused) this.connectLater(reason?.data?.retryAfterMs ?? this.retryDelay());
    });
  }

  /** How long to stay away after the server ended the connection, having said this last. */
  private pauseAfter(refusal: Partial<ErrorDetail> | undefined): Milliseconds {
    // The token has expired: a fresh one is all that is missing, and connecting asks for one.
    if (refusal?.code === 'unauthenticated') return 0;
    return refusal?.retryAfterMs ?? this.retryDelay();
  }

  private connectLater(delay: Milliseconds): void {
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.socket?.connect?.(), delay);
  }

  private close(): void {
    clearTimeout(this.retry);
    this.socket?.disconnect();
  }

  private register(event: string): Set<Handler> {
    const handlers = new Set<Handler>();
    this.handlers.set(event, handlers);
    this.socket?.on(event, (...args: unknown[]) => {
      for (const handler of [...handlers]) handler(...args);
    });
    return handlers;
  }
}
