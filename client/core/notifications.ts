import type {
  Notification,
  NotificationsCleared,
  NotificationsPage,
  NotificationsRead,
} from '../hooks/types';
import { Gapless } from './gapless';
import type { Kind } from './kind';
import type { Incoming } from './ordering';
import { insert, isStored } from './timeline';

export type InboxEvent =
  | (Incoming<Notification> & { readonly name: 'notification:received' })
  | (Incoming<NotificationsRead> & { readonly name: 'notification:read' })
  | (Incoming<NotificationsCleared> & { readonly name: 'notifications:cleared' });

/** One user's inbox as far as this page holds it. */
export interface Inbox {
  /** Oldest first. */
  readonly entries: readonly Notification[];
  /** Unread entries the server has stored, held here or not. */
  readonly storedUnread: number;
}

const EMPTY: Inbox = { entries: [], storedUnread: 0 };

export function inboxPath(userId: string): string {
  return `/api/notifications/${encodeURIComponent(userId)}`;
}

export function unreadCount({ entries, storedUnread }: Inbox): number {
  return storedUnread + entries.filter((entry) => !isStored(entry) && entry.read !== true).length;
}

/** The inbox once `ids` are read, before the server has confirmed it. */
export function markRead(inbox: Inbox, ids: readonly string[]): Inbox {
  const unread = inbox.entries.filter((entry) => ids.includes(entry.id) && entry.read !== true);
  const stored = unread.filter(isStored).length;
  return {
    entries: inbox.entries.map((entry) => (unread.includes(entry) ? { ...entry, read: true } : entry)),
    storedUnread: Math.max(0, inbox.storedUnread - stored),
  };
}

export function clear(): Inbox {
  return EMPTY;
}

function receive(inbox: Inbox, entry: Notification, limit: number): Inbox {
  if (inbox.entries.some((known) => known.id === entry.id)) return inbox;
  const unread = isStored(entry) && entry.read !== true ? 1 : 0;
  return {
    entries: insert(inbox.entries, entry, dated).slice(-limit),
    storedUnread: inbox.storedUnread + unread,
  };
}

function replace(inbox: Inbox, page: NotificationsPage, limit: number): Inbox {
  const stored = page.notifications.reduce((inbox, entry) => receive(inbox, entry, limit), EMPTY);
  // What was never stored cannot be on the page, and is kept.
  const local = inbox.entries.filter((entry) => !isStored(entry));
  const merged = local.reduce((inbox, entry) => receive(inbox, entry, limit), stored);
  return { entries: merged.entries, storedUnread: page.unreadCount };
}

function fold(inbox: Inbox, event: InboxEvent, limit: number): Inbox {
  switch (event.name) {
    case 'notification:received':
      return receive(inbox, event.data, limit);
    case 'notification:read':
      return { ...markRead(inbox, event.data.ids), storedUnread: event.data.unreadCount };
    case 'notifications:cleared':
      return EMPTY;
  }
}

function dated(entry: Notification) {
  return { ...entry, at: entry.timestamp };
}

export const USER: Kind<Inbox, NotificationsPage, InboxEvent> = {
  namespace: '/notifications',
  idField: 'userId',
  subscribeEvent: 'subscribe-user',
  unsubscribeEvent: 'unsubscribe-user',
  events: ['notification:received', 'notification:read', 'notifications:cleared'],
  ownSocket: true,
  readAfterReset: true,
  initial: EMPTY,
  path: (id, limit) => `${inboxPath(id)}?limit=${limit}`,
  concerns: () => true,
  ordering: () => new Gapless(),
  fold,
  reset: ({ entries }) => ({ entries: entries.filter((e) => !isStored(e)), storedUnread: 0 }),
  replace,
};
