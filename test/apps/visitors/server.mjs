/** A small app that signs people in over OpenID Connect, by a library that knows nothing of Freehold. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { request as httpsRequest } from 'node:https';
import * as oidc from 'openid-client';

const { OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, BASE_URL, PORT } = process.env;
// As most apps do: before anybody has asked for anything.
const config = await oidc.discovery(new URL(OIDC_ISSUER), OIDC_CLIENT_ID, OIDC_CLIENT_SECRET);
const redirectUri = `${BASE_URL}/auth/callback`;
const sessions = new Map();

const pages = {
  '/healthz': async () => 'well',
  '/goodbye': async () => 'Goodbye',
  '/': async ({ session }) => ({ user: session.user ?? null }),
  async '/login'({ session, url, response }) {
    session.verifier = oidc.randomPKCECodeVerifier();
    session.state = oidc.randomState();
    session.nonce = oidc.randomNonce();
    const asked = oidc.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: 'openid profile email',
      code_challenge: await oidc.calculatePKCECodeChallenge(session.verifier),
      code_challenge_method: 'S256',
      state: session.state,
      nonce: session.nonce,
      ...Object.fromEntries(url.searchParams),
    });
    response.writeHead(302, { location: asked.href });
  },
  async '/auth/callback'({ session, url, response }) {
    const { verifier, state, nonce } = session;
    session.tokens = await oidc.authorizationCodeGrant(config, new URL(url.pathname + url.search, BASE_URL), {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    });
    session.user = session.tokens.claims();
    response.writeHead(302, { location: '/' });
  },
  '/me': ({ session }) => oidc.fetchUserInfo(config, session.tokens.access_token, session.user.sub),
  async '/logout'({ session, response }) {
    const { id_token } = session.tokens;
    const address = oidc.buildEndSessionUrl(config, {
      id_token_hint: id_token,
      post_logout_redirect_uri: `${BASE_URL}/goodbye`,
      state: 'bye',
    });
    for (const name of Object.keys(session)) delete session[name];
    response.writeHead(302, { location: address.href });
  },
  // What only a test asks for.
  '/metadata': async () => config.serverMetadata(),
  '/secrets': async ({ session }) => ({
    clientId: OIDC_CLIENT_ID,
    clientSecret: OIDC_CLIENT_SECRET,
    verifier: session.verifier,
    tokens: session.tokens,
  }),
  /** Whatever a hostile app would send where its provider is. */
  '/raw': ({ url }) => send(JSON.parse(url.searchParams.get('ask'))),
};

function send({ path, method = 'GET', host, headers = {}, body }) {
  const { hostname, port } = new URL(OIDC_ISSUER);
  return new Promise((resolve, reject) => {
    const asked = httpsRequest(
      {
        host: '127.0.0.1',
        port: port || 443,
        servername: host ?? hostname,
        rejectUnauthorized: false,
        agent: false,
        path,
        method,
        headers: { host: `${host ?? hostname}:${port}`, ...headers },
      },
      (answer) => {
        let text = '';
        answer.on('data', (chunk) => (text += chunk)).on('end', () => resolve({ status: answer.statusCode, text }));
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

createServer(async (request, response) => {
  const url = new URL(request.url, BASE_URL);
  const [, known] = /(?:^|; )visit=([^;]+)/.exec(request.headers.cookie ?? '') ?? [];
  const id = sessions.has(known) ? known : randomUUID();
  if (!sessions.has(id)) sessions.set(id, {});
  response.setHeader('set-cookie', `visit=${id}; Path=/; HttpOnly; Secure; SameSite=Lax`);
  try {
    const page = pages[url.pathname];
    if (!page) return response.writeHead(404).end();
    const answer = await page({ session: sessions.get(id), url, response });
    if (!response.headersSent) response.setHeader('content-type', 'application/json');
    response.end(answer === undefined ? '' : JSON.stringify(answer));
  } catch (error) {
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        name: error.name,
        code: error.code,
        error: error.error,
        message: error.message,
        cause: String(error.cause),
      }),
    );
  }
}).listen(Number(PORT));
process.on('SIGTERM', () => process.exit(0));
