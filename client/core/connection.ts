import { io } from 'socket.io-client';

import type { ServerHello, ServerRestarting } from '../hooks/types';
import type { SocketLike } from './channel';
import { Channel } from './channel';
import type { ClientConfig } from './config';
import { DEFAULTS, merge, readConfig } from './config';
import type { GetToken, Http } from './http';
import type { Milliseconds } from './poller';
import type { Undo } from './undo';
import { all, once } from './undo';

/** A channel in use; `release` is its undo. */
export interface Lease {
  readonly channel: Channel;
  readonly release: Undo;
}

/** Where a server's Socket.IO is: in a URL of its own a path would be taken for a namespace. */
export interface SocketPlace {
  readonly origin: string;
  readonly path: string;
}

/** `url` may be a path alone, below the page's origin; `path` is of the origin. */
export function socketPlace(url: string, path?: string): SocketPlace {
  // Elsewhere than in a browser there is no page, and the URL has to be whole.
  const page = typeof location === 'undefined' ? undefined : location.href;
  const { origin, pathname } = new URL(url, page);
  return { origin, path: path ?? `${pathname.replace(/\/$/, '')}/socket.io` };
}

/**
 * The page's connection. socket.io-client carries all namespaces of one origin over one transport,
 * which stays open as long as anybody holds it.
 */
export class Connection {
  config: ClientConfig = DEFAULTS;
  private readonly channels = new Map<string, Channel[]>();
  private configRead: Promise<void> | undefined;
  private restartDelay: Milliseconds | undefined;
  private holders = 0;
  /** What to undo when the last holder leaves. */
  private held: Undo[] = [];

  constructor(
    private readonly place: SocketPlace,
    private readonly http: Http,
    private readonly getToken?: GetToken,
  ) {}

  /** A shared channel stays open until the connection closes, an own one until it is released. */
  lease(namespace: string, own: boolean): Lease {
    const channel = own ? this.idle(namespace) : this.shared(namespace);
    const release = own ? channel.open() : nothing;
    const letGo = this.hold();
    return { channel, release: all([release, letGo]) };
  }

  /** Keeps the transport open, and listens for what the server says to everybody. */
  hold(): Undo {
    this.holders += 1;
    if (this.holders === 1) this.listen();
    this.configRead ??= this.readConfig();
    this.tune();
    return once(() => {
      this.holders -= 1;
      if (this.holders === 0) all(this.held.splice(0))();
    });
  }

  private shared(namespace: string): Channel {
    const channel = this.channels.get(namespace)?.[0] ?? this.add(namespace);
    if (channel.users === 0) this.held.push(channel.open());
    return channel;
  }

  /** One that nobody uses now; socket.io-client opens a second transport if there is none. */
  private idle(namespace: string): Channel {
    const known = this.channels.get(namespace)?.find((channel) => channel.users === 0);
    return known ?? this.add(namespace);
  }

  private add(namespace: string): Channel {
    const create = () => this.createSocket(namespace);
    const channel = new Channel(create, () => this.restartDelay ?? this.config.reconnectionDelayMax);
    this.channels.set(namespace, [...(this.channels.get(namespace) ?? []), channel]);
    return channel;
  }

  private createSocket(namespace: string): SocketLike {
    return io(this.place.origin + namespace, {
      path: this.place.path,
      transports: ['websocket', 'polling'],
      // Without it the second transport is never tried when the first one fails.
      tryAllTransports: true,
      reconnectionDelay: this.config.reconnectionDelay,
      reconnectionDelayMax: this.config.reconnectionDelayMax,
      ...this.auth(),
    });
  }

  /** As a callback, so that every reconnect presents a fresh token. */
  private auth() {
    const { getToken } = this;
    if (!getToken) return {};
    return { auth: (present: (data: object) => void) => void presentToken(getToken, present) };
  }

  private listen(): void {
    const channel = this.shared('/');
    this.held.push(
      channel.on('server:hello', (hello: ServerHello) => {
        this.delayRestart(undefined);
        this.configure(merge(this.config, hello));
      }),
      channel.on('server:restarting', ({ retryAfterMs }: ServerRestarting) => {
        this.delayRestart(retryAfterMs);
      }),
    );
  }

  private delayRestart(delay: Milliseconds | undefined): void {
    this.restartDelay = delay;
    this.tune();
  }

  private async readConfig(): Promise<void> {
    this.configure(await readConfig(this.http));
  }

  private configure(config: ClientConfig): void {
    this.config = config;
    this.tune();
  }

  /** socket.io-client spreads these delays at random by half, so a restart brings no stampede. */
  private tune(): void {
    const delay = this.restartDelay ?? this.config.reconnectionDelay;
    const longest = Math.max(delay, this.config.reconnectionDelayMax);
    for (const channel of [...this.channels.values()].flat()) {
      channel.manager?.reconnectionDelay?.(delay);
      channel.manager?.reconnectionDelayMax?.(longest);
    }
  }
}

const nothing: Undo = () => undefined;

async function presentToken(getToken: GetToken, present: (data: object) => void): Promise<void> {
  try {
    present({ token: await getToken() });
  } catch {
    // Connecting without a token is refused by the server, in words the hooks can show.
    present({});
  }
}
