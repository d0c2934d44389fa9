import { fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { App } from '@/dashboard/App';
import { readIdentity } from '@/dashboard/identity';
import { JobcastClient, JobcastProvider } from '@/index';

import { TestServer } from './server';

let server: TestServer;

const update = { jobId: 'j1', status: 'in_progress', progress: 10, timestamp: 'now' };

beforeEach(async () => {
  vi.spyOn(globalThis, 'fetch');
  server = await TestServer.start();
  server.routes['/api/jobs?brandId=acme'] = [200, { jobs: [] }];
  for (const name of ['content_calendar', 'metrics_export']) {
    server.routes[`/examples/${name}.csv`] = [200, { csv: name }];
  }
});

afterEach(async () => {
  vi.restoreAllMocks();
  await server.stop();
});

function open() {
  const client = new JobcastClient({ url: server.url });
  render(
    <JobcastProvider client={client}>
      <App identity={readIdentity('')} />
    </JobcastProvider>,
  );
}

async function openWithJob(job: object) {
  server.routes['/api/jobs?brandId=acme'] = [200, { jobs: [{ ...update, ...job }] }];
  server.job('j1', job as Record<string, unknown>);
  open();
  return screen.findByTestId('job-card');
}

/** The fields of the form posted to a path; files by their name. How it is encoded is fetch's. */
function form(path: string): Record<string, string> {
  const call = vi.mocked(fetch).mock.calls.find(([url]) => url === server.url + path);
  const entries = [...(call?.[1]?.body as FormData)];
  return Object.fromEntries(entries.map(([key, value]) => [key, value instanceof File ? value.name : value]));
}

const sent = (path: string) => server.requests.find((request) => request.path === path);

test('shows the jobs of the brand, and moves with them', async () => {
  const card = await openWithJob({ status: 'in_progress', progress: 10, total: 60, completed: 6 });
  await waitFor(() => expect(screen.getByTestId('connection').textContent).toBe('live'));
  const bar = within(card).getByRole('progressbar');
  await waitFor(() => expect(card.textContent).toContain('6 / 60'));
  for (const progress of [40, 70]) {
    server.job('j1', { status: 'in_progress', progress, currentPlatform: 'local', etaSeconds: 8 });
    await waitFor(() => expect(bar.getAttribute('aria-valuenow')).toBe(String(progress)));
  }
  expect(card.textContent).toContain('about 8 s left');
  server.job('j1', { status: 'published', progress: 100 });
  await waitFor(() => expect(card.dataset.status).toBe('published'));
  expect(card.dataset).toMatchObject({ jobId: 'j1', progress: '100' });
  expect(screen.queryByTestId('cancel-j1')).toBeNull();
});

test('says that a job is stalled, and why one failed', async () => {
  const card = await openWithJob({ status: 'in_progress', stalled: true });
  await waitFor(() => expect(card.textContent).toContain('stalled'));
  server.job('j1', { status: 'failed', progress: 30, error: 'platform is down' });
  await waitFor(() => expect(card.textContent).toContain('platform is down'));
  expect(within(card).getByRole('progressbar').getAttribute('aria-valuenow')).toBe('30');
});

test('publishes the example calendar, with approval when asked for', async () => {
  server.routes['/api/jobs/publish'] = [202, { ...update, status: 'draft' }];
  open();
  fireEvent.click(screen.getByTestId('requires-approval'));
  fireEvent.click(screen.getByTestId('publish-example'));
  const card = await screen.findByTestId('job-card');
  expect(card.dataset.status).toBe('draft');
  expect(form('/api/jobs/publish')).toEqual({
    brandId: 'acme',
    userId: 'ana',
    requiresApproval: 'true',
    calendar: 'content_calendar.csv',
  });
});

test('syncs the example metrics and shows how far it is', async () => {
  server.routes['/api/analytics/acme/sync'] = [202, { jobId: 'sync-job', syncId: 'sync-1' }];
  open();
  await waitFor(() => expect(server.subscriptions).toContainEqual(['subscribe-brand', 'acme']));
  fireEvent.click(screen.getByTestId('sync-example'));
  expect((await screen.findByTestId('job-card')).dataset.jobId).toBe('sync-job');
  expect(form('/api/analytics/acme/sync')).toEqual({
    platform: 'instagram',
    userId: 'ana',
    export: 'metrics_export.csv',
  });
  server.sync('acme', 50);
  const panel = screen.getByTestId('analytics');
  await waitFor(() => {
    expect(within(panel).getByRole('progressbar').getAttribute('aria-valuenow')).toBe('50');
  });
  expect(panel.textContent).toContain('instagram');
});

test('approves what waits and cancels what runs', async () => {
  server.routes['/api/jobs/j1/approve'] = [202, update];
  server.routes['/api/jobs/j1/cancel'] = [202, update];
  await openWithJob({ status: 'pending', details: { requiresApproval: true } });
  fireEvent.click(await screen.findByTestId('approve-j1'));
  await waitFor(() => expect(sent('/api/jobs/j1/approve')?.method).toBe('POST'));
  server.job('j1', { status: 'in_progress' });
  await waitFor(() => expect(screen.queryByTestId('approve-j1')).toBeNull());
  fireEvent.click(screen.getByTestId('cancel-j1'));
  await waitFor(() => expect(sent('/api/jobs/j1/cancel')?.method).toBe('POST'));
});

test('shows what the server refuses until it is dismissed', async () => {
  server.routes['/api/jobs/publish'] = [503, { code: 'unavailable', detail: 'the broker is away' }];
  open();
  fireEvent.click(screen.getByTestId('publish-example'));
  const alert = await screen.findByRole('alert');
  expect(alert.textContent).toContain('the broker is away');
  fireEvent.click(within(alert).getByRole('button'));
  expect(screen.queryByRole('alert')).toBeNull();
});

test('counts notifications, marks one as read, clears all', async () => {
  server.acks['mark-read'] = () => ({ ok: true });
  server.acks['clear-notifications'] = () => ({ ok: true });
  server.notify('ana', 'n1');
  server.notify('ana', 'n2');
  open();
  const count = screen.getByTestId('unread-count');
  await waitFor(() => expect(count.textContent).toBe('2'));
  fireEvent.click(screen.getByText('n1', { selector: 'strong' }));
  expect(count.textContent).toBe('1');
  fireEvent.click(screen.getByText('Clear all'));
  expect(screen.queryAllByTestId('notification')).toEqual([]);
});

test('says when it polls', async () => {
  server.refuseSockets = true;
  open();
  await waitFor(() => expect(screen.getByTestId('connection').textContent).toBe('polling'));
});

test('takes user, brand and token from the address', () => {
  expect(readIdentity('?user=bob&brand=b2&token=t')).toEqual({ user: 'bob', brand: 'b2', token: 't' });
  expect(readIdentity('')).toEqual({ user: 'ana', brand: 'acme', token: null });
});
