// @vitest-environment node

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { ClientOptions } from '@/core/client';
import { JobcastClient } from '@/core/client';
import { unreadCount } from '@/core/notifications';
import type { ListenOptions } from '@/core/topic';

import { notification, TestServer } from './server';

let server: TestServer;
const undos: (() => void)[] = [];

const eventually = (check: () => void) => vi.waitFor(check, { timeout: 3000, interval: 5 });

function connect(options: ClientOptions = {}) {
  const client = new JobcastClient({ url: server.url, ...options });
  const follow =
    (topics: 'jobs' | 'notifications' | 'analytics') =>
    (id: string, options?: ListenOptions, listener: () => void = vi.fn()) => {
      const undo = client[topics].subscribe(id, listener, options);
      undos.push(undo);
      return undo;
    };
  return {
    client,
    followJob: follow('jobs'),
    followUser: follow('notifications'),
    followBrand: follow('analytics'),
    job: (id: string) => client.jobs.snapshot(id),
    inbox: (id: string) => client.notifications.snapshot(id),
    ids: (id: string) => client.notifications.snapshot(id).state.entries.map((entry) => entry.id),
    brand: (id: string) => client.analytics.snapshot(id),
    records: (id: string) =>
      client.analytics.snapshot(id).state.events.map((event) => event.data.recordsProcessed),
  };
}

const polls = (path: string) => server.requests.filter((request) => request.path.startsWith(path));

beforeEach(async () => {
  server = await TestServer.start();
});

afterEach(async () => {
  for (const undo of undos.splice(0)) undo();
  await server.stop();
});

describe('a job over push', () => {
  test('shows the current state at once and then every change', async () => {
    server.job('j1', { status: 'in_progress', progress: 40 });
    const page = connect();
    page.followJob('j1');
    await eventually(() => expect(page.job('j1').state?.progress).toBe(40));
    server.job('j1', { status: 'published', progress: 100 });
    await eventually(() => expect(page.job('j1').state?.status).toBe('published'));
    expect(page.job('j1')).toMatchObject({ connected: true, isPolling: false, error: null });
    expect(server.subscriptions).toEqual([['subscribe-job', 'j1']]);
  });

  test('is followed on after its end, when a higher attempt starts it again', async () => {
    server.job('j1', { status: 'failed', progress: 80, attempt: 1 });
    const page = connect();
    page.followJob('j1');
    await eventually(() => expect(page.job('j1').state?.status).toBe('failed'));
    server.job('j1', { status: 'in_progress', progress: 5, attempt: 2 });
    await eventually(() => expect(page.job('j1').state?.progress).toBe(5));
  });

  test('is subscribed once for all its listeners, and left with the last of them', async () => {
    const page = connect();
    const other = page.followJob('j2');
    const first = page.followJob('j1');
    const second = page.followJob('j1');
    await eventually(() => expect(server.subscriptions).toHaveLength(2));
    first();
    first();
    server.job('j1', { status: 'in_progress' });
    await eventually(() => expect(page.job('j1').state?.status).toBe('in_progress'));
    expect(server.unsubscriptions).toEqual([]);
    second();
    await eventually(() => expect(server.unsubscriptions).toEqual(['j1']));
    expect(page.job('j1').state).toBeNull();
    expect(server.transports).toBe(1);
    other();
    await eventually(() => expect(server.transports).toBe(0));
    expect(server.subscriptions).toHaveLength(2);
  });

  test('does not hear of other jobs', async () => {
    const page = connect();
    page.followJob('j1');
    page.followJob('j2');
    await eventually(() => expect(server.subscriptions).toHaveLength(2));
    server.job('j2', { status: 'in_progress', progress: 1 });
    await eventually(() => expect(page.job('j2').state?.progress).toBe(1));
    expect(page.job('j1').state).toBeNull();
  });

  test('takes events without a sequence, as a stock server sends them', async () => {
    const page = connect();
    page.followJob('j1');
    await eventually(() => expect(server.subscriptions).toHaveLength(1));
    const update = { jobId: 'j1', status: 'in_progress', timestamp: 'now' };
    server.io.of('/jobs').to('j1').emit('job:status-changed', { ...update, progress: 60 });
    await eventually(() => expect(page.job('j1').state?.progress).toBe(60));
    server.io.of('/jobs').to('j1').emit('job:status-changed', { ...update, progress: 20 });
    await eventually(() => expect(page.job('j1').state?.progress).toBe(20));
  });
});

describe('the connection', () => {
  test('is one for all namespaces of a page', async () => {
    const page = connect();
    page.followJob('j1');
    page.followUser('ana');
    page.followBrand('acme');
    await eventually(() => expect(server.subscriptions).toHaveLength(3));
    expect(server.transports).toBe(1);
  });

  test('is opened again after it was closed, still as one', async () => {
    const page = connect();
    for (const undo of [page.followJob('j1'), page.followUser('ana')]) undo();
    page.followJob('j2');
    page.followUser('bob');
    await eventually(() => expect(page.job('j2').connected).toBe(true));
    await eventually(() => expect(page.inbox('bob').connected).toBe(true));
    expect(server.transports).toBe(1);
  });

  test('resumes every topic where it was when it comes back', async () => {
    server.job('j1', { status: 'in_progress', progress: 10 });
    server.notify('ana', 'n1');
    const page = connect();
    page.followJob('j1', { pollingInterval: 0 });
    page.followUser('ana', { pollingInterval: 0 });
    await eventually(() => expect(page.ids('ana')).toEqual(['n1']));
    await eventually(() => expect(page.job('j1').state?.progress).toBe(10));
    server.subscriptions.length = 0;
    server.cut();
    await eventually(() => expect(page.job('j1').connected).toBe(false));
    server.job('j1', { status: 'published', progress: 100 });
    server.notify('ana', 'n2');
    await eventually(() => expect(page.job('j1').state?.status).toBe('published'));
    await eventually(() => expect(page.ids('ana')).toEqual(['n1', 'n2']));
    await eventually(() => expect(page.inbox('ana').connected).toBe(true));
    expect(server.subscriptions).toHaveLength(2);
    expect(server.subscriptions).toContainEqual([
      'subscribe-job',
      { jobId: 'j1', since: 1, epoch: 'epoch-1' },
    ]);
    expect(server.subscriptions).toContainEqual([
      'subscribe-user',
      { userId: 'ana', since: 1, epoch: 'epoch-2' },
    ]);
  });

  test('comes back when the server itself ended it', async () => {
    const page = connect();
    page.followJob('j1');
    await eventually(() => expect(page.job('j1').connected).toBe(true));
    server.io.of('/jobs').disconnectSockets(false);
    await eventually(() => expect(page.job('j1').connected).toBe(false));
    await eventually(() => expect(page.job('j1').connected).toBe(true));
  });

  test('uses long polling where WebSocket is not to be had', async () => {
    await server.stop();
    server = await TestServer.start(['polling']);
    server.job('j1', { status: 'in_progress' });
    const page = connect();
    page.followJob('j1');
    await eventually(() => expect(page.job('j1').state?.status).toBe('in_progress'));
    expect(page.job('j1').connected).toBe(true);
  });

  test('waits as long as a server asks that is about to restart', async () => {
    const page = connect();
    page.followJob('j1', { pollingInterval: 0 });
    await eventually(() => expect(page.job('j1').connected).toBe(true));
    const told = new Promise((resolve) => {
      undos.push(page.client.hold());
      page.client.jobs.subscribe('j1', () => {
        if (!page.job('j1').connected) resolve(performance.now());
      });
    });
    await eventually(() => expect(server.io.of('/').sockets.size).toBe(1));
    server.io.of('/').emit('server:restarting', { retryAfterMs: 400 });
    // Behind the announcement on the same transport, and therefore heard after it.
    server.job('j1', { status: 'in_progress' });
    await eventually(() => expect(page.job('j1').state).not.toBeNull());
    server.cut();
    const lost = (await told) as number;
    await eventually(() => expect(page.job('j1').connected).toBe(true));
    // socket.io-client takes the delay give or take a half; without it, it takes at most 60 ms.
    expect(performance.now() - lost).toBeGreaterThan(190);
  });

  test('presents a fresh token, on the socket and over HTTP', async () => {
    const tokens = ['one', 'two', 'three', 'four', 'five', 'six'];
    const presented: unknown[] = [];
    server.io.of('/jobs').use((socket, next) => {
      presented.push((socket.handshake.auth as { token?: string }).token);
      next();
    });
    const page = connect({ getToken: () => Promise.resolve(tokens.shift() ?? 'last') });
    page.followJob('j1');
    await eventually(() => expect(presented).toHaveLength(1));
    server.cut();
    await eventually(() => expect(presented).toHaveLength(2));
    expect(new Set(presented).size).toBe(2);
    await eventually(() => expect(polls('/api/jobs/j1').length).toBeGreaterThan(0));
    expect(polls('/api/jobs/j1')[0]?.headers.authorization).toMatch(/^Bearer \w+$/);
  });

  test('comes back with a fresh token by itself when its own has expired', async () => {
    const presented: unknown[] = [];
    server.io.of('/jobs').use((socket, next) => {
      presented.push((socket.handshake.auth as { token?: string }).token);
      next();
    });
    // A server's delays that nobody would wait for.
    server.routes['/api/config'] = [200, { reconnectionDelayMax: 60_000 }];
    let minted = 0;
    const page = connect({ getToken: () => `token-${(minted += 1)}` });
    page.followJob('j1', { pollingInterval: 0 });
    await eventually(() => expect(server.subscriptions).toHaveLength(1));
    const before = minted;
    const expired = { code: 'unauthenticated', message: 'the token has expired' };
    server.io.of('/jobs').emit('subscription-error', expired);
    server.io.of('/jobs').disconnectSockets(false);
    await eventually(() => expect(server.subscriptions).toHaveLength(2));
    expect(presented.at(-1)).not.toBe(presented[0]);
    expect(minted).toBeGreaterThan(before);
    await eventually(() => expect(page.job('j1')).toMatchObject({ connected: true, error: null }));
  });

  test('stays away as long as a server asks that ended it for sending too much', async () => {
    server.routes['/api/config'] = [200, { reconnectionDelayMax: 20 }];
    const page = connect();
    page.followJob('j1', { pollingInterval: 0 });
    await eventually(() => expect(server.subscriptions).toHaveLength(1));
    const flooding = { code: 'rate-limited', message: 'too many messages', retryAfterMs: 300 };
    server.io.of('/jobs').emit('subscription-error', flooding);
    server.io.of('/jobs').disconnectSockets(false);
    await eventually(() => expect(page.job('j1').connected).toBe(false));
    const lost = performance.now();
    await eventually(() => expect(page.job('j1').connected).toBe(true));
    expect(performance.now() - lost).toBeGreaterThan(250);
  });

  test('stays away as long as a server asks that does not let it in', async () => {
    server.routes['/api/config'] = [200, { reconnectionDelayMax: 20 }];
    const tried: number[] = [];
    server.io.of('/jobs').use((_, next) => {
      tried.push(performance.now());
      const data = { code: 'rate-limited', retryAfterMs: 300 };
      next(tried.length === 1 ? Object.assign(new Error('too many'), { data }) : undefined);
    });
    const page = connect();
    page.followJob('j1', { pollingInterval: 0 });
    const error = { code: 'rate-limited', message: 'too many', retryAfterMs: 300 };
    await eventually(() => expect(page.job('j1').error).toMatchObject(error));
    await eventually(() => expect(page.job('j1')).toMatchObject({ connected: true, error: null }));
    expect((tried[1] ?? 0) - (tried[0] ?? 0)).toBeGreaterThan(250);
  });

  test('says why a server refuses it, and tries again', async () => {
    let refusing = true;
    server.io.of('/jobs').use((_, next) => {
      const refusal = Object.assign(new Error('who are you?'), { data: { code: 'unauthenticated' } });
      next(refusing ? refusal : undefined);
    });
    const page = connect();
    page.followJob('j1', { pollingInterval: 0 });
    await eventually(() => {
      expect(page.job('j1').error).toMatchObject({
        code: 'unauthenticated',
        message: 'who are you?',
      });
    });
    refusing = false;
    await eventually(() => expect(page.job('j1')).toMatchObject({ connected: true, error: null }));
  });
});

describe('a refused subscription', () => {
  test('is an error of its topic alone', async () => {
    const page = connect();
    page.followJob('fine');
    await eventually(() => expect(server.subscriptions).toHaveLength(1));
    server.refusal = { code: 'forbidden', message: 'not yours' };
    page.followJob('secret');
    await eventually(() => {
      expect(page.job('secret').error).toMatchObject({ code: 'forbidden', message: 'not yours' });
    });
    expect(page.job('secret').isPolling).toBe(false);
    expect(page.job('fine').error).toBeNull();
  });

  test('is tried again when the server said, not before', async () => {
    server.routes['/api/config'] = [200, { reconnectionDelayMax: 5, pollingInterval: 50 }];
    server.refusal = { code: 'rate-limited', message: 'slower', retryAfterMs: 300 };
    const page = connect();
    page.followJob('j1');
    await eventually(() => {
      expect(page.job('j1').error).toMatchObject({ code: 'rate-limited', retryAfterMs: 300 });
    });
    const refused = performance.now();
    server.refusal = undefined;
    await eventually(() => expect(server.subscriptions).toHaveLength(2));
    expect(performance.now() - refused).toBeGreaterThan(250);
    await eventually(() => expect(page.job('j1')).toMatchObject({ connected: true, error: null }));
  });

  test('is tried again, and polled meanwhile, when it may pass', async () => {
    server.refusal = { code: 'rate-limited', message: 'slower' };
    const page = connect();
    page.followJob('j1');
    await eventually(() => expect(page.job('j1').isPolling).toBe(true));
    server.refusal = undefined;
    await eventually(() => {
      expect(page.job('j1')).toMatchObject({ connected: true, isPolling: false, error: null });
    });
  });
});

describe('polling', () => {
  test('starts when there is no connection and stops when there is one', async () => {
    server.refuseSockets = true;
    server.job('j1', { status: 'in_progress', progress: 10 });
    const page = connect();
    page.followJob('j1', { pollingInterval: 20 });
    await eventually(() => expect(page.job('j1').state?.progress).toBe(10));
    expect(page.job('j1')).toMatchObject({ connected: false, isPolling: true });
    server.job('j1', { status: 'in_progress', progress: 20 });
    await eventually(() => expect(page.job('j1').state?.progress).toBe(20));
    server.refuseSockets = false;
    await eventually(() => {
      expect(page.job('j1')).toMatchObject({ connected: true, isPolling: false });
    });
    server.job('j1', { status: 'published' });
    await eventually(() => expect(page.job('j1').state?.status).toBe('published'));
  });

  test('starts at once when the connection is lost', async () => {
    const page = connect();
    page.followJob('j1', { pollingInterval: 60_000 });
    await eventually(() => expect(page.job('j1').connected).toBe(true));
    server.refuseSockets = true;
    server.job('j1', { status: 'in_progress' });
    server.cut();
    await eventually(() => expect(page.job('j1').isPolling).toBe(true));
    await eventually(() => expect(polls('/api/jobs/j1')).toHaveLength(1));
  });

  test('sends the tag of what it has, and keeps it when nothing changed', async () => {
    server.refuseSockets = true;
    server.job('j1', { status: 'in_progress', progress: 10 });
    const page = connect();
    page.followJob('j1', { pollingInterval: 5 });
    await eventually(() => expect(polls('/api/jobs/j1').length).toBeGreaterThan(2));
    expect(polls('/api/jobs/j1')[2]?.headers['if-none-match']).toBe('"1"');
    expect(page.job('j1').state?.progress).toBe(10);
    expect(page.job('j1').error).toBeNull();
  });

  test('takes a job nobody knows yet for no error', async () => {
    server.refuseSockets = true;
    const page = connect();
    page.followJob('j1', { pollingInterval: 5 });
    await eventually(() => expect(polls('/api/jobs/j1').length).toBeGreaterThan(2));
    expect(page.job('j1')).toMatchObject({ state: null, error: null, isPolling: true });
  });

  test('reports a server that fails, and forgets it when it answers again', async () => {
    server.refuseSockets = true;
    server.routes['/api/jobs/j1'] = [503, { code: 'unavailable', detail: 'no store' }];
    const page = connect();
    page.followJob('j1', { pollingInterval: 5 });
    await eventually(() => {
      expect(page.job('j1').error).toMatchObject({ code: 'unavailable', message: 'no store' });
    });
    server.routes['/api/jobs/j1'] = [200, { jobId: 'j1', status: 'draft', timestamp: 'now' }];
    await eventually(() => expect(page.job('j1').state?.status).toBe('draft'));
    expect(page.job('j1').error).toBeNull();
  });

  test('says in its own words that nobody can be reached', async () => {
    const page = connect();
    const path = '/api/jobs/j1';
    await server.stop();
    const code = 'unreachable';
    await expect(page.client.http.read(path)).rejects.toMatchObject({ code });
    server = await TestServer.start();
  });

  test('does not happen when its interval is 0', async () => {
    server.refuseSockets = true;
    const page = connect();
    page.followJob('j1', { pollingInterval: 0 });
    page.followJob('j2', { pollingInterval: 5 });
    await eventually(() => expect(polls('/api/jobs/j2').length).toBeGreaterThan(2));
    expect(page.job('j1').isPolling).toBe(false);
    expect(polls('/api/jobs/j1')).toEqual([]);
  });

  test('takes its interval from the server', async () => {
    server.refuseSockets = true;
    server.routes['/api/config'] = [200, { pollingInterval: 5 }];
    const page = connect();
    page.followJob('j1');
    await eventually(() => expect(page.job('j1').isPolling).toBe(true));
    await eventually(() => expect(polls('/api/jobs/j1').length).toBeGreaterThan(3));
  });
});

describe('an inbox', () => {
  test('holds what was stored and what arrives, and counts what is unread', async () => {
    server.notify('ana', 'n1');
    const page = connect();
    page.followUser('ana');
    await eventually(() => expect(page.ids('ana')).toEqual(['n1']));
    server.notify('ana', 'n2');
    await eventually(() => expect(page.ids('ana')).toEqual(['n1', 'n2']));
    expect(unreadCount(page.inbox('ana').state)).toBe(2);
  });

  test('asks for an event that got lost, and shows all in order', async () => {
    const page = connect();
    page.followUser('ana');
    await eventually(() => expect(polls('/api/notifications/ana')).toHaveLength(1));
    server.notify('ana', 'n1');
    await eventually(() => expect(page.ids('ana')).toEqual(['n1']));
    server.notify('ana', 'n2', true);
    server.notify('ana', 'n3');
    await eventually(() => expect(page.ids('ana')).toEqual(['n1', 'n2', 'n3']));
    expect(server.subscriptions.slice(1)).toEqual([
      ['subscribe-user', { userId: 'ana', since: 1, epoch: 'epoch-1' }],
    ]);
  });

  test('asks for everything when asking for what is missing was no help', async () => {
    server.breakPromise = true;
    const page = connect();
    page.followUser('ana');
    await eventually(() => expect(polls('/api/notifications/ana')).toHaveLength(1));
    server.notify('ana', 'n1', true);
    server.notify('ana', 'n2');
    await eventually(() => expect(server.subscriptions).toHaveLength(2));
    server.notify('ana', 'n3');
    await eventually(() => expect(page.ids('ana')).toEqual(['n1', 'n2', 'n3']));
    expect(server.subscriptions[2]).toEqual(['subscribe-user', 'ana']);
  });

  test('is replaced when the server cannot say what was missed', async () => {
    server.notify('ana', 'n1');
    const page = connect();
    page.followUser('ana');
    await eventually(() => expect(page.ids('ana')).toEqual(['n1']));
    server.lose('/notifications', 'ana');
    server.notify('ana', 'other', true);
    server.cut();
    await eventually(() => expect(page.ids('ana')).toEqual(['other']));
    expect(unreadCount(page.inbox('ana').state)).toBe(1);
  });

  test('keeps a notification that arrives while the whole inbox is being read', async () => {
    const { promise, resolve: open } = Promise.withResolvers<undefined>();
    server.gate = promise;
    server.notify('ana', 'n1');
    const page = connect();
    page.followUser('ana');
    await eventually(() => expect(polls('/api/notifications/ana')).toHaveLength(1));
    server.notify('ana', 'n2');
    const stock = { ...notification('stock'), timestamp: '9999-01-01T00:00:00.000Z' };
    server.io.of('/notifications').to('ana').emit('notification:received', stock);
    await eventually(() => expect(page.ids('ana')).toEqual(['n1', 'n2', 'stock']));
    server.routes['/api/notifications/ana?limit=50'] = [
      200,
      { notifications: [{ ...notification('n1'), sequence: 1 }], unreadCount: 0 },
    ];
    open(undefined);
    await eventually(() => expect(unreadCount(page.inbox('ana').state)).toBe(3));
    expect(page.ids('ana')).toEqual(['n1', 'n2', 'stock']);
  });

  test('is not set back by a page of an epoch that has ended meanwhile', async () => {
    const { promise, resolve: open } = Promise.withResolvers<undefined>();
    server.gate = promise;
    server.notify('ana', 'n1');
    const page = connect();
    page.followUser('ana');
    await eventually(() => expect(polls('/api/notifications/ana')).toHaveLength(1));
    server.routes['/api/notifications/ana?limit=50'] = [503, { code: 'unavailable' }];
    server.lose('/notifications', 'ana');
    server.notify('ana', 'other');
    await eventually(() => expect(page.ids('ana')).toEqual(['other']));
    await eventually(() => expect(polls('/api/notifications/ana')).toHaveLength(2));
    const after = page.client.http.read('/api/notifications/ana?limit=50');
    open(undefined);
    await expect(after).rejects.toMatchObject({ code: 'unavailable' });
    expect(page.ids('ana')).toEqual(['other']);
  });

  test('does not mix with the inbox of another user on the same page', async () => {
    const page = connect();
    page.followUser('ana');
    page.followUser('bob');
    await eventually(() => expect(server.subscriptions).toHaveLength(2));
    server.notify('bob', 'for-bob');
    await eventually(() => expect(page.ids('bob')).toEqual(['for-bob']));
    expect(page.ids('ana')).toEqual([]);
    server.notify('ana', 'for-ana');
    await eventually(() => expect(page.ids('ana')).toEqual(['for-ana']));
    expect(page.ids('bob')).toEqual(['for-bob']);
  });

  test('is marked as read at once, and over the socket', async () => {
    const asked = vi.fn(() => ({ ok: true }));
    server.acks['mark-read'] = asked;
    server.notify('ana', 'n1');
    const page = connect();
    page.followUser('ana');
    await eventually(() => expect(page.ids('ana')).toEqual(['n1']));
    const done = page.client.markAsRead('ana', 'n1');
    expect(unreadCount(page.inbox('ana').state)).toBe(0);
    await done;
    expect(asked).toHaveBeenCalledWith({ userId: 'ana', ids: ['n1'] });
    expect(page.inbox('ana').state.entries[0]?.read).toBe(true);
    expect(page.inbox('ana').error).toBeNull();
  });

  test('stays read when a page that was read before comes in later', async () => {
    const { promise, resolve: open } = Promise.withResolvers<undefined>();
    server.gate = promise;
    server.acks['mark-read'] = () => {
      server.publish('/notifications', 'ana', 'notification:read', { ids: ['n1'], unreadCount: 0 });
      return { ok: true };
    };
    server.notify('ana', 'n1');
    const page = connect();
    const seen: number[] = [];
    page.followUser('ana', {}, () => seen.push(unreadCount(page.inbox('ana').state)));
    await eventually(() => expect(page.ids('ana')).toEqual(['n1']));
    await eventually(() => expect(polls('/api/notifications/ana')).toHaveLength(1));
    seen.length = 0;
    await page.client.markAsRead('ana', 'n1');
    open(undefined);
    await eventually(() => expect(polls('/api/notifications/ana')).toHaveLength(2));
    await page.client.http.read('/api/notifications/ana');
    expect(new Set(seen)).toEqual(new Set([0]));
  });

  test('takes back what the server refused, and says why', async () => {
    server.acks['clear-notifications'] = () => ({
      ok: false,
      error: { code: 'forbidden', message: 'no' },
    });
    server.notify('ana', 'n1');
    const page = connect();
    page.followUser('ana');
    await eventually(() => expect(page.ids('ana')).toEqual(['n1']));
    const done = page.client.clearNotifications('ana');
    expect(page.ids('ana')).toEqual([]);
    await done;
    await eventually(() => expect(page.ids('ana')).toEqual(['n1']));
    expect(page.inbox('ana').error).toMatchObject({ code: 'forbidden' });
  });

  test('is read and cleared over HTTP while it is polled', async () => {
    server.refuseSockets = true;
    server.notify('ana', 'n1');
    server.routes['POST /api/notifications/ana/read'] = [200, { unreadCount: 0 }];
    server.routes['DELETE /api/notifications/ana'] = [204, {}];
    const page = connect();
    page.followUser('ana', { pollingInterval: 60_000 });
    await eventually(() => expect(page.ids('ana')).toEqual(['n1']));
    await page.client.markAsRead('ana', 'n1');
    await page.client.clearNotifications('ana');
    const [read, cleared] = server.requests.filter(({ method }) => method !== 'GET');
    expect(read).toMatchObject({ method: 'POST', body: '{"ids":["n1"]}' });
    expect(cleared).toMatchObject({ method: 'DELETE', path: '/api/notifications/ana' });
    expect(page.inbox('ana').error).toBeNull();
  });

  test('follows what another tab reads and clears', async () => {
    server.notify('ana', 'n1');
    server.notify('ana', 'n2');
    const page = connect();
    page.followUser('ana');
    await eventually(() => expect(unreadCount(page.inbox('ana').state)).toBe(2));
    server.publish('/notifications', 'ana', 'notification:read', { ids: ['n1'], unreadCount: 1 });
    await eventually(() => expect(unreadCount(page.inbox('ana').state)).toBe(1));
    expect(page.inbox('ana').state.entries.map((entry) => entry.read)).toEqual([true, false]);
    server.publish('/notifications', 'ana', 'notifications:cleared', {});
    await eventually(() => expect(page.ids('ana')).toEqual([]));
    server.notify('ana', 'n3');
    await eventually(() => expect(page.ids('ana')).toEqual(['n3']));
  });

  test('holds no more than was asked for', async () => {
    for (let i = 1; i <= 6; i += 1) server.notify('ana', `n${i}`);
    const page = connect();
    page.followUser('ana', { limit: 2 });
    await eventually(() => expect(page.ids('ana')).toEqual(['n5', 'n6']));
    await eventually(() => expect(polls('/api/notifications/ana?limit=2')).toHaveLength(1));
    await eventually(() => expect(unreadCount(page.inbox('ana').state)).toBe(6));
  });
});

describe('analytics', () => {
  test('show where the newest sync stands; insights are events but no progress', async () => {
    const page = connect();
    page.followBrand('acme');
    await eventually(() => expect(server.subscriptions).toHaveLength(1));
    server.sync('acme', 10, 'analytics:sync-started');
    server.sync('acme', 20);
    server.sync('acme', 0, 'analytics:insights-generated');
    await eventually(() => expect(page.records('acme')).toEqual([10, 20, 0]));
    expect(page.brand('acme').state.currentProgress?.recordsProcessed).toBe(20);
  });

  test('stay cleared when the server sends everything again', async () => {
    const page = connect();
    server.sync('acme', 10);
    page.followBrand('acme');
    await eventually(() => expect(page.records('acme')).toEqual([10]));
    page.client.clearEvents('acme');
    expect(page.brand('acme').state).toMatchObject({ events: [], currentProgress: null });
    server.forgetHistory = true;
    server.cut();
    await eventually(() => expect(page.brand('acme').connected).toBe(false));
    server.sync('acme', 20);
    await eventually(() => expect(page.records('acme')).toEqual([20]));
    await eventually(() => expect(page.brand('acme').connected).toBe(true));
    expect(page.records('acme')).toEqual([20]);
  });
});
