import type * as X509 from '@peculiar/x509';

export type { X509Certificate } from '@peculiar/x509';

/** The package and all that it brings are loaded by who makes a certificate: that is one process of many, and everybody imports `keys`. */
export async function loadX509(): Promise<typeof X509> {
  // Its decorators need this before anything else.
  await import('reflect-metadata');
  return import('@peculiar/x509');
}
