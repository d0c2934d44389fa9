import type { Notification } from '../hooks/types';
import type { UseRealtimeNotificationsReturn } from '../hooks/useRealtimeNotifications';

export function NotificationsPanel({ inbox }: { inbox: UseRealtimeNotificationsReturn }) {
  const { notifications, unreadCount, error, markAsRead, clearAll } = inbox;
  return (
    <section className="card" data-testid="notifications" aria-labelledby="notifications-title">
      <header>
        <h2 id="notifications-title">
          Notifications{' '}
          <span className="badge count" data-testid="unread-count" aria-label={`${unreadCount} unread`}>
            {unreadCount}
          </span>
        </h2>
        <button type="button" className="quiet" disabled={notifications.length === 0} onClick={clearAll}>
          Clear all
        </button>
      </header>
      {notifications.length === 0 && <p className="empty">Nothing new.</p>}
      <ul className="inbox" aria-live="polite">
        {notifications.map((entry) => (
          <li key={entry.id}>
            <Entry entry={entry} onRead={markAsRead} />
          </li>
        ))}
      </ul>
      {error && <p className="problem">{error.message}</p>}
    </section>
  );
}

function Entry({ entry, onRead }: { entry: Notification; onRead: (id: string) => void }) {
  const read = entry.read === true;
  return (
    <button
      type="button"
      className={`entry severity-${entry.severity}`}
      data-testid="notification"
      data-read={read}
      title={read ? undefined : 'Mark as read'}
      onClick={() => {
        if (!read) onRead(entry.id);
      }}
    >
      <strong>{entry.title}</strong>
      <span>{entry.message}</span>
      <time dateTime={entry.timestamp}>{new Date(entry.timestamp).toLocaleTimeString()}</time>
    </button>
  );
}
