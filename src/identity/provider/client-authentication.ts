import { createHash, timingSafeEqual } from 'node:crypto';
import { ProviderRefusal } from './types.ts';

/** `client_secret_basic` or `client_secret_post`, one of them (RFC 6749, 2.3.1). Throws invalid_client and invalid_request. */
export function authenticateClient(
  client: { readonly clientId: string; readonly clientSecret: string },
  authorization: string | undefined,
  parameters: ReadonlyMap<string, string>,
): void {
  const posted = parameters.get('client_secret');
  const basic = authorization === undefined ? undefined : parseBasic(authorization);
  if (basic && posted !== undefined)
    throw new ProviderRefusal('invalid_request', 'the client is authenticated in two ways at once');
  const clientId = basic?.clientId ?? parameters.get('client_id');
  const secret = basic?.secret ?? posted;
  const named = parameters.get('client_id');
  if (named !== undefined && named !== clientId) throw refused();
  // Both are compared whatever the first says.
  const isSame = [isEqual(clientId ?? '', client.clientId), isEqual(secret ?? '', client.clientSecret)];
  if (isSame.includes(false)) throw refused();
}

function parseBasic(authorization: string): { clientId: string; secret: string } {
  const [, encoded] = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization) ?? [];
  if (encoded === undefined || encoded.length > 2_000) throw refused();
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) throw refused();
  return { clientId: decodeForm(text.slice(0, colon)), secret: decodeForm(text.slice(colon + 1)) };
}

/** Both are encoded as in forms before they are joined. */
function decodeForm(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw refused();
  }
}

function isEqual(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(left!, right!);
}

function refused() {
  return new ProviderRefusal('invalid_client', 'the client is not the app, or its secret is wrong');
}
