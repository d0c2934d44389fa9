// Generated from jobcast/models.py by scripts/generate-types.mjs. Do not edit.

/**
 * Everything that crosses a process boundary.
 */
export type WirePayload =
  | JobStatusUpdate
  | Notification
  | AnalyticsData
  | AnalyticsEvent
  | NotificationsRead
  | NotificationsCleared
  | ServerHello
  | ServerConfig
  | ServerRestarting
  | Subscribed
  | ErrorDetail
  | NotificationsPage
  | AnalyticsPage
  | JobsPage
  | JobHistory
  | Post
  | PublishRequest
  | SyncAccepted
  | SyncRequest
  | ReadRequest
  | UnreadCount
  | Problem;
export type JobStatus =
  | 'draft'
  | 'pending'
  | 'approved'
  | 'in_progress'
  | 'published'
  | 'completed'
  | 'failed'
  | 'cancelled';
export type NotificationType =
  | 'job-completed'
  | 'job-failed'
  | 'approval-needed'
  | 'insight-available'
  | 'sync-complete'
  | 'alert';
export type Severity = 'info' | 'warning' | 'error' | 'success';
export type AnalyticsEventType =
  | 'analytics:sync-started'
  | 'analytics:sync-progress'
  | 'analytics:sync-completed'
  | 'analytics:insights-generated'
  | 'analytics:forecast-ready';
export type ErrorCode =
  | 'invalid-payload'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'rate-limited'
  | 'too-many-subscriptions'
  | 'unavailable';

/**
 * The state of one job; every update is complete in itself, so the newest one is enough.
 */
export interface JobStatusUpdate {
  jobId: string;
  status: JobStatus;
  /**
   * 0 to 100; absent when the total is unknown
   */
  progress?: number;
  currentPlatform?: string;
  error?: string;
  details?: {
    [k: string]: unknown;
  };
  timestamp: string;
  /**
   * rises by one with every stored event of the topic
   */
  sequence?: number;
  /**
   * changes when the store lost the topic
   */
  epoch?: string;
  /**
   * 1, 2 … for retries and redeliveries
   */
  attempt?: number;
  completed?: number;
  total?: number;
  description?: string;
  etaSeconds?: number;
  /**
   * the worker missed a lease and may be gone
   */
  stalled?: boolean;
  /**
   * the HTTP request that began the job; on changes of its status, not on progress
   */
  requestId?: string;
  /**
   * the type of the exception that ``error`` is about
   */
  errorType?: string;
  /**
   * somebody asked for the job to stop; until it has ended
   */
  cancelRequested?: boolean;
  /**
   * its process lives but cannot report: it is busy
   */
  busy?: boolean;
  /**
   * the last lines the job has written, oldest first
   */
  log?: string[];
  /**
   * what the job has made; with its end
   */
  result?: {
    [k: string]: unknown;
  };
}
/**
 * One entry of a user's inbox; ``id`` makes it arrive once however often it is sent.
 */
export interface Notification {
  id: string;
  type: NotificationType;
  title: string;
  message: string;
  severity: Severity;
  brandId?: string;
  actionUrl?: string;
  timestamp: string;
  read?: boolean;
  sequence?: number;
  epoch?: string;
}
/**
 * Where one platform's sync stands.
 */
export interface AnalyticsData {
  platform: string;
  progress: number;
  recordsProcessed: number;
  totalRecords?: number;
  currentMetric?: string;
  timestamp: string;
}
/**
 * An event of a brand's analytics; all five types travel as ``analytics:sync-progress``.
 */
export interface AnalyticsEvent {
  syncId: string;
  eventType: AnalyticsEventType;
  data: AnalyticsData;
  sequence?: number;
  epoch?: string;
}
/**
 * Some tab or device read these notifications.
 */
export interface NotificationsRead {
  ids: string[];
  unreadCount: number;
  sequence?: number;
  epoch?: string;
}
/**
 * Some tab or device emptied the inbox.
 */
export interface NotificationsCleared {
  sequence?: number;
  epoch?: string;
}
/**
 * What the server says first on the default namespace.
 */
export interface ServerHello {
  version: string;
  debounceMs: number;
  reconnectionDelay: number;
  reconnectionDelayMax: number;
}
/**
 * ``GET /api/config``.
 */
export interface ServerConfig {
  version: string;
  debounceMs: number;
  reconnectionDelay: number;
  reconnectionDelayMax: number;
  pollingInterval: number;
}
/**
 * The server is about to stop; come back after this many milliseconds.
 */
export interface ServerRestarting {
  retryAfterMs: number;
}
/**
 * The answer to a subscribe event; carries exactly one of the three ids.
 */
export interface Subscribed {
  jobId?: string;
  userId?: string;
  brandId?: string;
  sequence: number;
  epoch?: string;
  recovered: boolean;
}
/**
 * A refusal, as acks and ``subscription-error`` carry it.
 */
export interface ErrorDetail {
  code: ErrorCode;
  message: string;
  /**
   * milliseconds until the same may be granted
   */
  retryAfterMs?: number;
}
/**
 * ``GET /api/notifications/{userId}``, newest last.
 */
export interface NotificationsPage {
  notifications: Notification[];
  unreadCount: number;
  sequence: number;
  epoch?: string;
}
/**
 * ``GET /api/analytics/{brandId}``.
 */
export interface AnalyticsPage {
  currentProgress?: AnalyticsData;
  events: AnalyticsEvent[];
  sequence: number;
  epoch?: string;
}
/**
 * ``GET /api/jobs?brandId=``, newest first.
 */
export interface JobsPage {
  jobs: JobStatusUpdate[];
}
/**
 * ``GET /api/jobs/{jobId}/history``, oldest first.
 */
export interface JobHistory {
  events: JobStatusUpdate[];
  sequence: number;
  epoch?: string;
}
/**
 * One post of a publish request.
 */
export interface Post {
  content: string;
  /**
   * @maxItems 20
   */
  media?: string[];
  /**
   * @minItems 1
   * @maxItems 20
   */
  platforms?: string[];
}
/**
 * The body of ``POST /api/jobs/publish``.
 */
export interface PublishRequest {
  brandId: string;
  userId: string;
  /**
   * @minItems 1
   * @maxItems 1000
   */
  posts: Post[];
  requiresApproval?: boolean;
}
/**
 * The answer to ``POST /api/analytics/{brandId}/sync``.
 */
export interface SyncAccepted {
  jobId: string;
  syncId: string;
}
/**
 * The JSON body of ``POST /api/analytics/{brandId}/sync``; ``export`` is CSV text.
 */
export interface SyncRequest {
  platform: string;
  userId: string;
  export: string;
}
/**
 * The body of ``POST /api/notifications/{userId}/read``: some ids, or all.
 */
export interface ReadRequest {
  /**
   * @maxItems 1000
   */
  ids?: string[];
  all?: true;
}
/**
 * How many notifications stay unread.
 */
export interface UnreadCount {
  unreadCount: number;
}
/**
 * An error of the HTTP routes (RFC 9457).
 */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
}
