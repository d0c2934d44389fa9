import { BRAND, clearEvents } from './analytics';
import { Connection } from './connection';
import type { GetToken } from './http';
import { Http } from './http';
import { JOB } from './jobs';
import { clear, inboxPath, markRead, USER } from './notifications';
import { Topics } from './topics';
import type { Undo } from './undo';

export interface ClientOptions {
  /** The server's origin; default: the page's. */
  readonly url?: string;
  /** Identifies the user, on the socket and over HTTP. */
  readonly getToken?: GetToken;
}

/** Everything a page knows of one Jobcast server, without any framework. */
export class JobcastClient {
  readonly http: Http;
  readonly jobs;
  readonly notifications;
  readonly analytics;
  private readonly connection: Connection;

  constructor({ url = location.origin, getToken }: ClientOptions = {}) {
    const origin = url.replace(/\/$/, '');
    this.http = new Http(origin, getToken);
    this.connection = new Connection(origin, this.http, getToken);
    const services = { connection: this.connection, http: this.http };
    this.jobs = new Topics(JOB, services);
    this.notifications = new Topics(USER, services);
    this.analytics = new Topics(BRAND, services);
  }

  /** Keeps the connection while topics come and go; returns its own undo. */
  hold(): Undo {
    return this.connection.hold();
  }

  /** At once here, then on the server; what fails there is taken back and reported as `error`. */
  async markAsRead(userId: string, notificationId: string): Promise<void> {
    const ids = [notificationId];
    this.notifications.find(userId)?.update((inbox) => markRead(inbox, ids));
    await this.act(userId, 'mark-read', { userId, ids }, () =>
      this.http.send('POST', `${inboxPath(userId)}/read`, { ids }),
    );
  }

  /** Empties the inbox, at once here, then on the server. */
  async clearNotifications(userId: string): Promise<void> {
    this.notifications.find(userId)?.update(clear);
    await this.act(userId, 'clear-notifications', { userId }, () =>
      this.http.send('DELETE', inboxPath(userId)),
    );
  }

  /** Forgets the events here; the server keeps its own. */
  clearEvents(brandId: string): void {
    this.analytics.find(brandId)?.update(clearEvents);
  }

  private async act(
    userId: string,
    event: string,
    payload: object,
    overHttp: () => Promise<unknown>,
  ): Promise<void> {
    const topic = this.notifications.find(userId);
    try {
      if (!(await topic?.pushing?.request(event, payload))) await overHttp();
    } catch (reason) {
      topic?.fail(reason);
    }
  }
}
