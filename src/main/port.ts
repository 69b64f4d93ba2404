import { createServer } from 'node:net';

/**
 * Whether nobody listens on the port yet. Workers share their port, and the kernel lets every process of the same user join, so a
 * second installation would silently take half of the first one's connections: whoever starts the workers asks this before.
 */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
