import type { AnalyticsData, AnalyticsEvent, AnalyticsPage } from '../hooks/types';
import { Gapless } from './gapless';
import type { Kind } from './kind';
import type { Incoming, Sequenced } from './ordering';
import { insert, isStored } from './timeline';

export type BrandEvent = Incoming<AnalyticsEvent> & { readonly name: 'analytics:sync-progress' };

/** One brand's analytics as far as this page holds them. */
export interface Analytics {
  /** Oldest first. */
  readonly events: readonly AnalyticsEvent[];
  readonly currentProgress: AnalyticsData | null;
  /** The user cleared everything up to here; a later page must not bring it back. */
  readonly clearedTo: Sequenced | null;
}

const EMPTY: Analytics = { events: [], currentProgress: null, clearedTo: null };

export function clearEvents(analytics: Analytics): Analytics {
  const newest = analytics.events.findLast(isStored);
  return { ...EMPTY, clearedTo: newest ?? analytics.clearedTo };
}

function wasCleared({ clearedTo }: Analytics, event: Sequenced): boolean {
  if (clearedTo?.sequence === undefined || event.sequence === undefined) return false;
  return event.epoch === clearedTo.epoch && event.sequence <= clearedTo.sequence;
}

/** Insights and forecasts are events too, but say nothing about where a sync stands. */
function progressOf(events: readonly AnalyticsEvent[]): AnalyticsData | null {
  return events.findLast((event) => event.eventType.startsWith('analytics:sync-'))?.data ?? null;
}

function receive(analytics: Analytics, event: AnalyticsEvent, limit: number): Analytics {
  if (wasCleared(analytics, event)) return analytics;
  const events = insert(analytics.events, event, dated).slice(-limit);
  return { ...analytics, events, currentProgress: progressOf(events) ?? analytics.currentProgress };
}

function reset(analytics: Analytics): Analytics {
  const events = analytics.events.filter((event) => !isStored(event));
  return { ...analytics, events, currentProgress: progressOf(events) };
}

function replace(analytics: Analytics, page: AnalyticsPage, limit: number): Analytics {
  const start = { ...reset(analytics), currentProgress: pageProgress(analytics, page) };
  return page.events.reduce((state, event) => receive(state, event, limit), start);
}

function pageProgress(analytics: Analytics, page: AnalyticsPage): AnalyticsData | null {
  return wasCleared(analytics, page) ? null : (page.currentProgress ?? null);
}

function dated(event: AnalyticsEvent) {
  return { ...event, at: event.data.timestamp };
}

export const BRAND: Kind<Analytics, AnalyticsPage, BrandEvent> = {
  namespace: '/analytics',
  idField: 'brandId',
  subscribeEvent: 'subscribe-brand',
  unsubscribeEvent: 'unsubscribe-brand',
  events: ['analytics:sync-progress'],
  ownSocket: true,
  readAfterReset: true,
  initial: EMPTY,
  path: (id) => `/api/analytics/${encodeURIComponent(id)}`,
  concerns: () => true,
  ordering: () => new Gapless(),
  fold: (state, event, limit) => receive(state, event.data, limit),
  reset,
  replace,
};
