import type { JobsPage, JobStatusUpdate, SyncAccepted } from '../hooks/types';
import type { Http } from '../core/http';
import type { Identity } from './identity';

/** What the buttons of the dashboard ask of the server; every call throws what it was refused with. */
export class Api {
  constructor(
    private readonly http: Http,
    private readonly identity: Identity,
  ) {}

  async jobs(): Promise<readonly JobStatusUpdate[]> {
    const query = new URLSearchParams({ brandId: this.identity.brand });
    const page = await this.http.read<JobsPage>(`/api/jobs?${query.toString()}`);
    return page?.jobs ?? [];
  }

  async publishExample(requiresApproval: boolean): Promise<JobStatusUpdate | null> {
    const { user, brand } = this.identity;
    const calendar = await this.http.file('/examples/content_calendar.csv');
    const form = new FormData();
    form.set('brandId', brand);
    form.set('userId', user);
    form.set('requiresApproval', String(requiresApproval));
    form.set('calendar', calendar, 'content_calendar.csv');
    return this.http.send<JobStatusUpdate>('POST', '/api/jobs/publish', form);
  }

  async syncExample(): Promise<JobStatusUpdate | null> {
    const { user, brand } = this.identity;
    const form = new FormData();
    form.set('platform', 'instagram');
    form.set('userId', user);
    form.set('export', await this.http.file('/examples/metrics_export.csv'), 'metrics_export.csv');
    const path = `/api/analytics/${encodeURIComponent(brand)}/sync`;
    const accepted = await this.http.send<SyncAccepted>('POST', path, form);
    return accepted && queued(accepted.jobId);
  }

  async approve(jobId: string): Promise<void> {
    await this.http.send('POST', `/api/jobs/${encodeURIComponent(jobId)}/approve`);
  }

  async cancel(jobId: string): Promise<void> {
    await this.http.send('POST', `/api/jobs/${encodeURIComponent(jobId)}/cancel`);
  }
}

/** What is known of a job before its first update; the subscription brings the rest. */
function queued(jobId: string): JobStatusUpdate {
  return { jobId, status: 'pending', timestamp: new Date().toISOString() };
}
