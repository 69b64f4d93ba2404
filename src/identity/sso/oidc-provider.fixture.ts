/** For tests: the certified `oidc-provider` over real TLS, people who sign in there, and a browser as far as redirects and cookies go. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request } from 'node:https';
import Provider from 'oidc-provider';
import { randomBytes, silentLog } from '#src/kernel/index.ts';
import { createOutgoing, type Outgoing } from '#src/outgoing/index.ts';
import { startTestServer, type TestServer } from '#src/outgoing/test-server.fixture.ts';

export interface TestPerson {
  readonly sub: string;
  readonly email?: string;
  readonly email_verified?: boolean;
  readonly name?: string;
  readonly groups?: readonly string[];
  readonly amr?: readonly string[];
  readonly acr?: string;
}

export interface TestProvider {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly outgoing: Outgoing;
  /** The authority of its certificate. */
  readonly ca: string;
  /** Who is at the keyboard. */
  who: TestPerson | 'refuses';
  /** May the client send the browser back there. Known from the first request on. */
  readonly redirectUris: readonly string[];
  /** Follows the provider's redirects; @returns the query with which the browser comes back to us */
  signIn(url: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startOidcProvider(redirectUris: readonly string[]): Promise<TestProvider> {
  let provider: Provider | undefined;
  let callback: (req: IncomingMessage, res: ServerResponse) => void;
  const server: TestServer = await startTestServer((req, res) => {
    interact(req, res).then(
      (done) => done || callback(req, res),
      () => res.destroy(),
    );
  });
  const issuer = `https://idp.example:${server.port}`;
  const clientId = 'freehold-test';
  const clientSecret = randomBytes(24).toString('base64url');
  let who: TestPerson | 'refuses' = 'refuses';
  const people = new Map<string, TestPerson>();

  /** In place of a page with a form: whoever is at the keyboard. */
  async function interact(req: IncomingMessage, res: ServerResponse): Promise<boolean> {
    if (!req.url!.startsWith('/interaction/')) return false;
    const details = await provider!.interactionDetails(req, res);
    if (who === 'refuses') {
      const result = { error: 'access_denied', error_description: '<script>alert(1)</script>' };
      await provider!.interactionFinished(req, res, result);
      return true;
    }
    people.set(who.sub, who);
    const login = {
      accountId: who.sub,
      ...(who.amr && { amr: [...who.amr] }),
      ...(who.acr && { acr: who.acr }),
    };
    const grant = new provider!.Grant({ accountId: who.sub, clientId: String(details.params.client_id) });
    grant.addOIDCScope('openid email profile');
    await provider!.interactionFinished(req, res, { login, consent: { grantId: await grant.save() } });
    return true;
  }

  provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [...redirectUris],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    claims: {
      openid: ['sub', 'acr', 'amr'],
      email: ['email', 'email_verified'],
      profile: ['name', 'groups', 'role', 'isAdmin'],
    },
    acrValues: ['http://schemas.openid.net/pape/policies/2007/06/multi-factor'],
    findAccount: async (_context, sub) => ({
      accountId: sub,
      claims: async () => {
        const { amr: _, acr: __, ...told } = people.get(sub)!;
        return { ...told, role: 'owner', isAdmin: true } as never;
      },
    }),
    features: { devInteractions: { enabled: false } },
    pkce: { required: () => true },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    rotateRefreshToken: false,
    renderError: async (context, out) => {
      context.type = 'json';
      context.body = out;
    },
  });
  callback = provider.callback();

  return {
    issuer,
    clientId,
    clientSecret,
    ca: server.ca,
    redirectUris,
    outgoing: createOutgoing({
      allow: [`idp.example:${server.port}`],
      ca: server.ca,
      log: silentLog,
      resolve: async () => ['127.0.0.1'],
    }),
    get who() {
      return who;
    },
    set who(person) {
      who = person;
    },
    async signIn(url) {
      const cookies = new Map<string, string>();
      let at = url;
      for (let hops = 0; hops < 12; hops++) {
        const { status, location, body, setCookies } = await visit(at, cookies, server.ca);
        for (const line of setCookies) {
          const [pair] = line.split(';');
          const [name, value] = [pair!.slice(0, pair!.indexOf('=')), pair!.slice(pair!.indexOf('=') + 1)];
          if (value) cookies.set(name, value);
          else cookies.delete(name);
        }
        if (location === undefined) throw new Error(`the provider answered ${status}: ${body}`);
        const next = new URL(location, at);
        if (next.origin !== issuer) return next.search.slice(1);
        at = next.href;
      }
      throw new Error('the provider redirects without end');
    },
    stop: () => server.stop(),
  };
}

async function visit(url: string, cookies: ReadonlyMap<string, string>, ca: string) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const sent = request(url, {
    ca,
    agent: false,
    headers: { accept: 'text/html', ...(cookie && { cookie }) },
    lookup: (_host, options, done) =>
      options.all
        ? (done as (error: null, addresses: object[]) => void)(null, [{ address: '127.0.0.1', family: 4 }])
        : done(null, '127.0.0.1', 4),
  }).end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const body = (await answer.setEncoding('utf8').toArray()).join('');
  return {
    status: answer.statusCode,
    location: answer.headers.location,
    body,
    setCookies: answer.headers['set-cookie'] ?? [],
  };
}
