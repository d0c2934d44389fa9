// How applications test components that use the hooks: with socket.io-client mocked away.

import { act, renderHook } from '@testing-library/react';
import { beforeEach, expect, test, vi } from 'vitest';

import type { Handler } from '@/core/channel';
import { useRealtimeJob } from '@/hooks/useRealtimeJob';
import { io } from 'socket.io-client';

vi.mock('socket.io-client', () => ({
  io: vi.fn(() => ({ on: vi.fn(), emit: vi.fn(), off: vi.fn(), disconnect: vi.fn() })),
}));

type Mock = ReturnType<typeof vi.fn<Handler>>;

interface MockSocket {
  on: Mock;
  emit: Mock;
  disconnect: Mock;
}

beforeEach(() => {
  vi.mocked(io).mockClear();
  const answer = { ok: true, json: () => Promise.resolve({ jobId: 'test-job', status: 'draft' }) };
  vi.stubGlobal('fetch', vi.fn(() => Promise.resolve(answer)));
});

/** The socket of /jobs, and what happens on it. */
function socket() {
  const index = vi.mocked(io).mock.calls.findLastIndex(([url]) => String(url).endsWith('/jobs'));
  const mock = vi.mocked(io).mock.results[index]?.value as MockSocket;
  const fire = (event: string, ...args: unknown[]) => {
    const handler = mock.on.mock.calls.find(([name]) => name === event)?.[1] as Handler;
    act(() => {
      handler(...args);
    });
  };
  return { mock, fire };
}

test('starts with the defaults of the guide', () => {
  const { result } = renderHook(() => useRealtimeJob('test-job'));
  expect(result.current.connected).toBe(false);
  expect(result.current.status).toBeNull();
  expect(vi.mocked(io)).toHaveBeenCalledWith(
    `${location.origin}/jobs`,
    expect.objectContaining({ transports: ['websocket', 'polling'] }),
  );
});

test('subscribes, shows, and disconnects', () => {
  const { result, unmount } = renderHook(() => useRealtimeJob('test-job'));
  const { mock, fire } = socket();
  fire('connect');
  expect(mock.emit).toHaveBeenCalledWith('subscribe-job', 'test-job');
  fire('job:status-changed', { jobId: 'test-job', status: 'in_progress', progress: 50 });
  expect(result.current).toMatchObject({ connected: true, status: { progress: 50 } });
  unmount();
  expect(mock.disconnect).toHaveBeenCalled();
});

test('polls after a disconnect', async () => {
  const { result } = renderHook(() => useRealtimeJob('test-job'));
  const { fire } = socket();
  fire('connect');
  fire('disconnect', 'transport close');
  expect(result.current).toMatchObject({ connected: false, isPolling: true });
  await vi.waitFor(() => expect(result.current.status?.status).toBe('draft'));
});

test('keeps its connection when it goes on to another job, without any provider', () => {
  const { rerender } = renderHook(({ id }) => useRealtimeJob(id), { initialProps: { id: 'j1' } });
  const { mock, fire } = socket();
  fire('connect');
  rerender({ id: 'j2' });
  expect(mock.emit).toHaveBeenCalledWith('unsubscribe-job', 'j1');
  expect(mock.disconnect).not.toHaveBeenCalled();
});
