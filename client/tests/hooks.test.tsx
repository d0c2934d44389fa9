import { act, renderHook, waitFor } from '@testing-library/react';
import type { ReactNode } from 'react';
import { StrictMode } from 'react';
import { afterEach, beforeEach, expect, test } from 'vitest';

import {
  JobcastClient,
  JobcastProvider,
  useRealtimeAnalytics,
  useRealtimeJob,
  useRealtimeNotifications,
} from '@/index';

import { TestServer } from './server';

let server: TestServer;

beforeEach(async () => {
  server = await TestServer.start();
});

afterEach(async () => {
  await server.stop();
});

function wrapper() {
  const client = new JobcastClient({ url: server.url });
  return ({ children }: { children: ReactNode }) => (
    <StrictMode>
      <JobcastProvider client={client}>{children}</JobcastProvider>
    </StrictMode>
  );
}

test('useRealtimeJob follows a job and returns what the guide says', async () => {
  server.job('j1', { status: 'in_progress', progress: 40 });
  const { result } = renderHook(() => useRealtimeJob('j1'), { wrapper: wrapper() });
  expect(result.current).toEqual({ status: null, connected: false, error: null, isPolling: false });
  await waitFor(() => expect(result.current.status?.progress).toBe(40));
  server.job('j1', { status: 'published', progress: 100 });
  await waitFor(() => expect(result.current.status?.status).toBe('published'));
  expect(result.current).toMatchObject({ connected: true, error: null, isPolling: false });
});

test('a hook keeps the connection when it goes on to another topic', async () => {
  server.job('j1', { status: 'draft' });
  server.job('j2', { status: 'failed' });
  server.sync('acme', 1);
  server.sync('other', 2);
  let opened = 0;
  server.io.engine.on('connection', () => (opened += 1));
  const { result, rerender } = renderHook(
    ({ job, brand }) => ({ job: useRealtimeJob(job), brand: useRealtimeAnalytics(brand) }),
    { wrapper: wrapper(), initialProps: { job: 'j1', brand: 'acme' } },
  );
  await waitFor(() => expect(result.current.job.status?.status).toBe('draft'));
  await waitFor(() => expect(result.current.brand.currentProgress?.progress).toBe(1));
  const before = opened;
  rerender({ job: 'j2', brand: 'other' });
  expect(result.current.job.status).toBeNull();
  expect(result.current.brand.currentProgress).toBeNull();
  await waitFor(() => expect(result.current.job.status?.status).toBe('failed'));
  await waitFor(() => expect(result.current.brand.currentProgress?.progress).toBe(2));
  expect(opened).toBe(before);
});

test('a hook that is not enabled, or has no id, stays out of the network', async () => {
  const { result } = renderHook(
    () => [
      useRealtimeJob('j1', { enabled: false }),
      useRealtimeJob(''),
      useRealtimeJob('j2'),
    ],
    { wrapper: wrapper() },
  );
  await waitFor(() => expect(result.current[2]?.connected).toBe(true));
  await waitFor(() => expect(server.subscriptions.map(([, id]) => id)).toContain('j2'));
  expect(server.subscriptions.map(([, id]) => id)).not.toContain('j1');
  expect(result.current[0]?.connected).toBe(false);
});

test('useRealtimeNotifications is newest first, counts, marks and clears', async () => {
  server.acks['mark-read'] = () => ({ ok: true });
  server.acks['clear-notifications'] = () => ({ ok: true });
  for (const id of ['n1', 'n2', 'n3']) server.notify('ana', id);
  const { result } = renderHook(() => useRealtimeNotifications('ana', { maxNotifications: 2 }), {
    wrapper: wrapper(),
  });
  const ids = () => result.current.notifications.map(({ id }) => id);
  await waitFor(() => expect(ids()).toEqual(['n3', 'n2']));
  await waitFor(() => expect(result.current.unreadCount).toBe(3));
  act(() => {
    result.current.markAsRead('n3');
  });
  expect(result.current.unreadCount).toBe(2);
  expect(result.current.notifications[0]?.read).toBe(true);
  act(() => {
    result.current.clearAll();
  });
  expect(result.current).toMatchObject({ notifications: [], unreadCount: 0, isPolling: false });
});

test('useRealtimeAnalytics shows progress and events until they are cleared', async () => {
  const { result } = renderHook(() => useRealtimeAnalytics('acme'), { wrapper: wrapper() });
  await waitFor(() => expect(result.current.connected).toBe(true));
  await waitFor(() => expect(server.subscriptions).toContainEqual(['subscribe-brand', 'acme']));
  server.sync('acme', 30);
  await waitFor(() => expect(result.current.currentProgress?.recordsProcessed).toBe(30));
  expect(result.current.events).toHaveLength(1);
  act(() => {
    result.current.clearEvents();
  });
  expect(result.current).toMatchObject({ currentProgress: null, events: [], error: null });
});

test('the hooks poll when there is no push', async () => {
  server.refuseSockets = true;
  server.job('j1', { status: 'in_progress', progress: 7 });
  const options = { fallbackPollingInterval: 20 };
  const { result } = renderHook(() => useRealtimeJob('j1', options), { wrapper: wrapper() });
  await waitFor(() => expect(result.current.status?.progress).toBe(7));
  expect(result.current).toMatchObject({ connected: false, isPolling: true });
});
