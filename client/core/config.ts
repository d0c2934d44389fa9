import type { ServerConfig } from '../hooks/types';
import type { Http } from './http';

/** What of the server's configuration matters to a client; all in milliseconds. */
export type ClientConfig = Pick<
  ServerConfig,
  'reconnectionDelay' | 'reconnectionDelayMax' | 'pollingInterval'
>;

export const DEFAULTS: ClientConfig = {
  reconnectionDelay: 1000,
  reconnectionDelayMax: 5000,
  pollingInterval: 5000,
};

/** `GET /api/config`, and the defaults for whatever it does not say. */
export async function readConfig(http: Http): Promise<ClientConfig> {
  try {
    return merge(DEFAULTS, await http.read<Partial<ClientConfig>>('/api/config'));
  } catch {
    // A server that does not answer has nothing to say about delays; the hooks report the outage.
    return DEFAULTS;
  }
}

/** `config` with those numbers of `told` that are numbers. */
export function merge(config: ClientConfig, told: Partial<ClientConfig> | null): ClientConfig {
  const pick = (key: keyof ClientConfig) => {
    const value = told?.[key];
    return typeof value === 'number' && value > 0 ? value : config[key];
  };
  return {
    reconnectionDelay: pick('reconnectionDelay'),
    reconnectionDelayMax: pick('reconnectionDelayMax'),
    pollingInterval: pick('pollingInterval'),
  };
}
