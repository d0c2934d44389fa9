import { BRAND, clearEvents } from './analytics';
import { Connection, socketPlace } from './connection';
import type { GetToken } from './http';
import { Http } from './http';
import { JOB } from './jobs';
import type { Inbox } from './notifications';
import { clear, inboxPath, markRead, USER } from './notifications';
import { Topics } from './topics';
import type { Undo } from './undo';

export interface ClientOptions {
  /** Where the server is, with the path it is below if there is one; default: the page's origin. */
  readonly url?: string;
  /** The path of its Socket.IO; default: `socket.io` below the path of `url`. */
  readonly path?: string;
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

  constructor({ url = location.origin, path, getToken }: ClientOptions = {}) {
    const origin = url.replace(/\/$/, '');
    this.http = new Http(origin, getToken);
    this.connection = new Connection(socketPlace(origin, path), this.http, getToken);
    const services = { connection: this.connection, http: this.http };
    this.jobs = new Topics(JOB, services);
    this.notifications = new Topics(USER, services);
    this.analytics = new Topics(BRAND, services);
  }

  /** Keeps the connection while topics come and go; returns its own undo. */
  hold(): Undo {
    return this.connection.hold();
  }

  /**
   * At once here, then on the server; what fails there is taken back and reported as `error`.
   * Does nothing for an inbox that nobody follows.
   */
  async markAsRead(userId: string, notificationId: string): Promise<void> {
    const ids = [notificationId];
    await this.change(userId, (inbox) => markRead(inbox, ids), 'mark-read', { userId, ids }, () =>
      this.http.send('POST', `${inboxPath(userId)}/read`, { ids }),
    );
  }

  /** Empties the inbox, at once here, then on the server. */
  async clearNotifications(userId: string): Promise<void> {
    await this.change(userId, clear, 'clear-notifications', { userId }, () =>
      this.http.send('DELETE', inboxPath(userId)),
    );
  }

  /** Forgets the events here; the server keeps its own. */
  clearEvents(brandId: string): void {
    this.analytics.find(brandId)?.update(clearEvents);
  }

  /** Over the socket, or over HTTP while there is none or nobody answers on it. */
  private async change(
    userId: string,
    change: (inbox: Inbox) => Inbox,
    event: string,
    payload: object,
    overHttp: () => Promise<unknown>,
  ): Promise<void> {
    const topic = this.notifications.find(userId);
    await topic?.change(change, async () => {
      if (!(await topic.pushing?.request(event, payload))) await overHttp();
    });
  }
}
