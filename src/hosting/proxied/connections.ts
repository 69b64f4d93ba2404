import { Agent } from 'node:http';

/**
 * Connections to apps, kept between requests. Every app server ends idle connections after a while of its own (the common ones after two seconds or more), and a
 * request that meets that end is lost; so ours end first.
 */
const idleMs = 1_000;

/** One for all apps: `node:http` keeps connections apart by `host` and `socketPath`, and the instance is given as `host`. */
export function createConnections(): Agent {
  return new Agent({ keepAlive: true, timeout: idleMs, maxFreeSockets: 64, scheduling: 'lifo' });
}
