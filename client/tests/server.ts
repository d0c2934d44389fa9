// A server that speaks the wire contract over real sockets and real HTTP, in this process.

import { createServer } from 'node:http';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Server } from 'socket.io';
import type { Namespace, Socket } from 'socket.io';

type Payload = Record<string, unknown>;
interface Stored {
  readonly name: string;
  readonly data: Payload & { sequence: number };
}
interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
type Argument = string | ({ since?: number; epoch?: string } & Record<string, string | number>);

const KINDS = {
  '/jobs': { verb: 'job', field: 'jobId' },
  '/notifications': { verb: 'user', field: 'userId' },
  '/analytics': { verb: 'brand', field: 'brandId' },
} as const;
type Path = keyof typeof KINDS;

/** What the ledger keeps of one topic. */
class Ledger {
  events: Stored[] = [];
  sequence = 0;

  constructor(readonly epoch: string) {}

  append(name: string, payload: Payload): Stored {
    this.sequence += 1;
    const stored = { name, data: { ...payload, sequence: this.sequence, epoch: this.epoch } };
    this.events.push(stored);
    return stored;
  }

  after(since: number): Stored[] {
    return this.events.filter((event) => event.data.sequence > since);
  }
}

export class TestServer {
  /** Every subscription, as `[event, argument]`, in the order of arrival. */
  readonly subscriptions: [string, Argument][] = [];
  readonly unsubscriptions: string[] = [];
  readonly requests: Request[] = [];
  /** Client events with an ack: name to answer. */
  readonly acks: Record<string, (argument: Payload) => unknown> = {};
  /** Answers to paths that the ledger does not have: status and JSON. */
  readonly routes: Record<string, [number, object]> = {
    '/api/config': [200, { reconnectionDelay: 20, reconnectionDelayMax: 40, pollingInterval: 50 }],
  };
  readonly io: Server;
  refuseSockets = false;
  refusal: { code: string; message: string; retryAfterMs?: number } | undefined;
  /** Answer a resume with the state instead of the missed events. */
  forgetHistory = false;
  /** Promise the missed events, and send none. */
  breakPromise = false;
  /** Held before every HTTP answer about a topic. */
  gate: Promise<unknown> = Promise.resolve();
  private readonly http: HttpServer;
  private readonly ledgers = new Map<string, Ledger>();
  private epochs = 0;

  private constructor(transports: ('polling' | 'websocket')[]) {
    this.http = createServer((request, response) => void this.serve(request, response));
    this.io = new Server(this.http, {
      transports,
      cors: { origin: '*' },
      allowRequest: (_, decide) => {
        decide(null, !this.refuseSockets);
      },
    });
    this.io.on('connection', (socket) => socket.emit('server:hello', { reconnectionDelay: 20 }));
    for (const path of Object.keys(KINDS) as Path[]) this.add(this.io.of(path), path);
  }

  static async start(transports: ('polling' | 'websocket')[] = ['polling', 'websocket']) {
    const server = new TestServer(transports);
    await new Promise<void>((resolve) => {
      server.http.listen(0, '127.0.0.1', resolve);
    });
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  /** Transports open now. */
  get transports(): number {
    return this.io.engine.clientsCount;
  }

  async stop(): Promise<void> {
    this.http.closeAllConnections();
    await this.io.close();
  }

  /** Cuts every transport, as a network would; `refuseSockets` keeps them out. */
  cut(): void {
    this.io.disconnectSockets(true);
    this.io.engine.close();
  }

  /** Stores an event and, unless it is to get lost, pushes it. */
  publish(path: Path, id: string, name: string, payload: Payload, lost = false): void {
    const { data } = this.ledger(path, id).append(name, payload);
    if (!lost) this.io.of(path).to(id).emit(name, data);
  }

  job(id: string, update: Payload): void {
    const timestamp = new Date().toISOString();
    this.publish('/jobs', id, 'job:status-changed', { jobId: id, timestamp, ...update });
  }

  notify(userId: string, id: string, lost = false): void {
    const entry = notification(id);
    this.publish('/notifications', userId, 'notification:received', entry, lost);
  }

  sync(brandId: string, recordsProcessed: number, eventType = 'analytics:sync-progress'): void {
    const timestamp = new Date().toISOString();
    const data = { platform: 'instagram', progress: recordsProcessed, recordsProcessed, timestamp };
    const event = { syncId: 'sync-1', eventType, data };
    this.publish('/analytics', brandId, 'analytics:sync-progress', event);
  }

  /** The store loses the topic: it begins anew, in another epoch. */
  lose(path: Path, id: string): void {
    this.ledgers.delete(path + id);
  }

  private ledger(path: Path, id: string): Ledger {
    const key = path + id;
    const ledger = this.ledgers.get(key) ?? new Ledger(`epoch-${(this.epochs += 1)}`);
    this.ledgers.set(key, ledger);
    return ledger;
  }

  private add(namespace: Namespace, path: Path): void {
    const { verb } = KINDS[path];
    namespace.on('connection', (socket) => {
      socket.on(`subscribe-${verb}`, (argument: Argument) => {
        this.subscriptions.push([`subscribe-${verb}`, argument]);
        this.subscribe(socket, path, argument);
      });
      socket.on(`unsubscribe-${verb}`, (id: string) => {
        this.unsubscriptions.push(id);
        void socket.leave(id);
      });
      socket.onAny((event: string, argument: Payload, ack?: (answer: unknown) => void) => {
        ack?.(this.acks[event]?.(argument));
      });
    });
  }

  private subscribe(socket: Socket, path: Path, argument: Argument): void {
    const { field } = KINDS[path];
    const asked = typeof argument === 'string' ? { [field]: argument } : argument;
    const id = String(asked[field]);
    if (this.refusal) {
      socket.emit('subscription-error', { ...this.refusal, [field]: id });
      return;
    }
    void socket.join(id);
    this.answer(socket, path, id, asked);
  }

  private answer(socket: Socket, path: Path, id: string, asked: { since?: number; epoch?: string }) {
    const { field } = KINDS[path];
    const ledger = this.ledgers.get(path + id) ?? new Ledger('');
    const recovered = !this.forgetHistory && asked.since !== undefined && asked.epoch === ledger.epoch;
    const standing = { sequence: ledger.sequence, recovered, epoch: ledger.epoch || undefined };
    socket.emit('subscribed', { [field]: id, ...standing });
    if (recovered && this.breakPromise) return;
    for (const { name, data } of recovered ? ledger.after(asked.since ?? 0) : state(path, ledger)) {
      socket.emit(name, data);
    }
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    if (path.startsWith('/socket.io')) return;
    const body = (await request.toArray()).join('');
    const method = request.method ?? '';
    this.requests.push({ method, path, headers: request.headers, body });
    const answer = this.routes[`${method} ${path}`] ?? this.routes[path] ?? this.page(path);
    if (path !== '/api/config') await this.gate;
    this.respond(request, response, answer);
  }

  private respond(request: IncomingMessage, response: ServerResponse, answer: [number, object]) {
    const [status, json] = answer;
    const { sequence } = json as { sequence?: number };
    const headers = {
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Allow-Headers': '*',
      'Access-Control-Expose-Headers': 'ETag',
      'Access-Control-Allow-Methods': 'GET, POST, DELETE',
      ...(sequence !== undefined && { ETag: `"${sequence}"` }),
    };
    if (request.method === 'OPTIONS' || status === 204) response.writeHead(204, headers).end();
    else if (sequence !== undefined && request.headers['if-none-match'] === `"${sequence}"`) {
      response.writeHead(304, headers).end();
    } else {
      const type = status < 400 ? 'application/json' : 'application/problem+json';
      response.writeHead(status, { ...headers, 'Content-Type': type }).end(JSON.stringify(json));
    }
  }

  private page(path: string): [number, object] {
    const [, , kind, id] = path.split(/[/?]/);
    const ledger = this.ledgers.get(`/${kind}${id}`);
    if (!ledger) return [404, { code: 'not-found', title: 'Not found' }];
    const { sequence, epoch } = ledger;
    const events = state(`/${kind}` as Path, ledger).map(({ data }) => data);
    if (kind === 'jobs') return [200, events.at(-1) ?? {}];
    if (kind === 'analytics') return [200, { events, sequence, epoch }];
    return [200, { notifications: events, unreadCount: events.filter(unread).length, sequence, epoch }];
  }
}

export function notification(id: string) {
  return {
    id,
    type: 'alert',
    title: id,
    message: id,
    severity: 'info',
    timestamp: new Date().toISOString(),
  } as const;
}

/** What a client that knows nothing is sent. */
function state(path: Path, ledger: Ledger): Stored[] {
  if (path === '/jobs') return ledger.events.slice(-1);
  if (path === '/analytics') return ledger.events;
  const cleared = ledger.events.findLast(({ name }) => name === 'notifications:cleared');
  const read = ledger.events.flatMap(({ data }) => (data.ids as string[] | undefined) ?? []);
  return ledger
    .after(cleared?.data.sequence ?? 0)
    .filter(({ name }) => name === 'notification:received')
    .map(({ name, data }) => ({ name, data: { ...data, read: read.includes(String(data.id)) } }));
}

function unread(entry: Payload): boolean {
  return entry.read !== true;
}
