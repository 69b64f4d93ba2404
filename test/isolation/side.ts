/** One of the two tenants, as its people and its attackers reach it. Every answer that comes through here is inspected. */
import type { TenantId } from '#src/kernel/index.ts';
import type { Report } from './report.ts';
import type { Wire, WireAnswer, WireRequest } from './wire.ts';

export type Role = 'owner' | 'admin' | 'member';
export const roles: readonly Role[] = ['owner', 'admin', 'member'];

export interface Person {
  readonly role: Role;
  readonly email: string;
  password: string;
  userId: string;
  /** Value of the session cookie. */
  session: string;
  /** Value of the cookie that makes the browser known. */
  device: string;
}

/** Ids of what can be named in a path. */
export interface Objects {
  readonly project: string;
  readonly item: string;
  readonly item2: string;
  readonly comment: string;
  readonly attachment: string;
  /** Mapped, not started. */
  readonly openImport: string;
  readonly doneImport: string;
  readonly invitation: string;
  readonly invitationToken: string;
  readonly user: string;
  readonly session: string;
  /** Id of an API token of the owner; the shared one is from before the clone. */
  readonly apiToken: string;
  /** Id of a SCIM token; the shared one is from before the clone. */
  readonly scimToken: string;
  readonly scimGroup: string;
  /** A user whom the directory made. */
  readonly scimUser: string;
  /** Of the object that is changed. */
  readonly version?: number;
}

export interface SendOptions {
  /** Whose cookies; default: nobody's. */
  readonly as?: Person | undefined;
  /** Which worker: an index into the product's doors. Default 0. */
  readonly door?: number;
  readonly body?: unknown;
  readonly upload?: { readonly name: string; readonly content: string; readonly mediaType?: string };
  readonly headers?: Readonly<Record<string, string>>;
  readonly serverName?: string;
  readonly host?: string;
  /** A connection of its own; default: only where the product's workers share one port. */
  readonly fresh?: boolean;
}

export const sessionCookie = '__Host-freehold';
export const deviceCookie = '__Host-freehold-device';
const boundary = 'freehold-isolation-boundary-5f1c';

export class Side {
  readonly label: string;
  readonly name: string;
  readonly title: string;
  tenantId: TenantId = 'ten_' as TenantId;
  readonly people = {} as Record<Role, Person>;
  /** Objects that both tenants have, under the same ids. */
  shared = {} as Objects;
  /** Objects that only this tenant has. */
  own = {} as Objects;
  /** API tokens of the owner. */
  readonly apiTokens = { shared: '', write: '', read: '' };
  /** SCIM tokens, made by the owner; `shared`: before the clone. */
  readonly scim = { shared: '', token: '' };
  /** Texts that occur nowhere but in this tenant's data. */
  readonly markers = new Set<string>();
  /** Secrets that no log line may hold. */
  readonly secrets = new Set<string>();
  /** Ids of requests that this tenant's door answered. */
  readonly requestIds = new Set<string>();
  readonly #inspector: Inspector;

  constructor(label: string, name: string, title: string, inspector: Inspector) {
    this.label = label;
    this.name = name;
    this.title = title;
    this.#inspector = inspector;
    this.mark(name);
    this.mark(title);
    inspector.sides.push(this);
  }

  get host(): string {
    return `${this.name}.localhost`;
  }
  get authority(): string {
    return `${this.host}:${this.#inspector.publicPort}`;
  }
  get doors(): readonly number[] {
    return this.#inspector.doors;
  }

  /** Notes a text as this tenant's own. */
  mark(text: string): string {
    this.markers.add(text);
    return text;
  }

  /** A text that occurs nowhere else. */
  newMarker(what: string): string {
    return this.mark(`${this.label}${what}${this.#inspector.random()}`);
  }

  async send(method: string, path: string, options: SendOptions = {}): Promise<WireAnswer> {
    const request = this.requestOf(method, path, options);
    return this.inspect(request, await this.#inspector.wire.send(request));
  }

  requestOf(method: string, path: string, options: SendOptions = {}): WireRequest {
    const { as, door = 0, body, upload, headers, serverName = this.host, host = this.authority } = options;
    const payload = upload ? multipart(upload) : body === undefined ? undefined : JSON.stringify(body);
    const contentType = upload ? `multipart/form-data; boundary=${boundary}` : 'application/json';
    return {
      port: this.doors[door]!,
      serverName,
      host,
      method,
      path,
      body: payload,
      fresh: options.fresh ?? this.#inspector.sharesPort,
      headers: {
        ...(payload === undefined ? {} : { 'content-type': contentType }),
        ...(as ? { cookie: cookiesOf(as) } : {}),
        ...headers,
      },
    };
  }

  /** Checks what holds for every answer; @returns the answer */
  inspect(request: Omit<WireRequest, 'port'>, answer: WireAnswer): WireAnswer {
    const id = answer.headers['x-request-id'];
    if (typeof id === 'string') this.requestIds.add(id);
    this.#inspector.inspect(this, request, answer);
    return answer;
  }

  /** Sends and insists on success: for making what is attacked later. */
  async must(method: string, path: string, options: SendOptions = {}): Promise<WireAnswer> {
    const answer = await this.send(method, path, { as: this.people.owner, ...options });
    if (answer.status >= 300)
      throw new Error(`${this.label}: ${method} ${path} was refused: ${answer.status} ${answer.body.toString()}`);
    return answer;
  }

  /** Accepts an invitation; @returns the person with the cookies of the session that it began */
  async accept({ role, email, token }: { role: Role; email: string; token: string }): Promise<Person> {
    const password = `purple lantern ${this.#inspector.random()} drift`;
    this.secrets.add(token);
    const answer = await this.must('POST', `/-/api/invitations/${token}`, { as: undefined, body: { password } });
    return this.keepSecret({ role, email, password, userId: answer.json.user.userId, ...readCookies(answer) });
  }

  keepSecret(person: Person): Person {
    this.secrets.add(person.session).add(person.device).add(person.password);
    return person;
  }

  /** A new API token of that person. */
  async makeApiToken(
    as: Person,
    scope: 'read' | 'write' = 'write',
    name = this.newMarker('Token'),
  ): Promise<{ readonly token: string; readonly tokenId: string }> {
    const body = { name, scope, password: as.password };
    const { json } = await this.must('POST', '/-/api/tokens', { as, body });
    this.secrets.add(json.token);
    return json;
  }

  /** A new SCIM token of the owner. */
  async makeScimToken(
    name = this.newMarker('Directory'),
  ): Promise<{ readonly token: string; readonly tokenId: string }> {
    const body = { name, password: this.people.owner.password };
    const { json } = await this.must('POST', '/-/api/scim/tokens', { body });
    this.secrets.add(json.token);
    return json;
  }

  /** Makes something as the directory does. @returns its id */
  async provision(collection: 'Users' | 'Groups', token: string, resource: object): Promise<string> {
    const schemas = [`urn:ietf:params:scim:schemas:core:2.0:${collection.slice(0, -1)}`];
    const options = { as: undefined, headers: { authorization: `Bearer ${token}` }, body: { schemas, ...resource } };
    return (await this.must('POST', `/-/scim/v2/${collection}`, options)).json.id;
  }

  /** Signs in; @returns the same person with the cookies of a new session */
  async signIn(person: Person, options: SendOptions = {}): Promise<Person> {
    const { email, password } = person;
    const answer = await this.must('POST', '/-/api/session', { as: undefined, body: { email, password }, ...options });
    return this.keepSecret({ ...person, ...readCookies(answer) });
  }

  /** Does it once through every worker. */
  async throughEveryDoor(run: (door: number) => Promise<void>): Promise<void> {
    for (const door of this.doors.keys()) await run(door);
  }
}

export function cookiesOf(person: Pick<Person, 'session' | 'device'>): string {
  return `${sessionCookie}=${person.session}; ${deviceCookie}=${person.device}`;
}

/** The cookies that an answer sets. */
export function readCookies(answer: WireAnswer): Pick<Person, 'session' | 'device'> {
  const value = (name: string) =>
    [answer.headers['set-cookie'] ?? []]
      .flat()
      .find((line) => line.startsWith(`${name}=`))
      ?.slice(name.length + 1)
      .split(';', 1)[0] ?? '';
  return { session: value(sessionCookie), device: value(deviceCookie) };
}

function multipart({ name, content, mediaType = 'text/plain' }: NonNullable<SendOptions['upload']>): string {
  return (
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${name}"\r\n` +
    `content-type: ${mediaType}\r\n\r\n${content}\r\n--${boundary}--\r\n`
  );
}

/** What must hold for every single answer, whatever was asked. */
export class Inspector {
  readonly sides: Side[] = [];
  readonly report: Report;
  readonly wire: Wire;
  readonly doors: readonly number[];
  readonly publicPort: number;
  readonly random: () => string;

  constructor(report: Report, wire: Wire, doors: readonly number[], publicPort: number, random: () => string) {
    this.report = report;
    this.wire = wire;
    this.doors = doors;
    this.publicPort = publicPort;
    this.random = random;
  }

  get sharesPort(): boolean {
    return new Set(this.doors).size < this.doors.length;
  }

  /** @param door the tenant whose data may be in the answer; undefined: nobody's may */
  inspect(door: Side | undefined, request: Omit<WireRequest, 'port'>, answer: WireAnswer): void {
    const { report } = this;
    const what = `${door?.label ?? 'no tenant'}: ${request.method} ${request.path}`;
    const asked = `${request.path}\n${request.host}\n${JSON.stringify(request.headers)}\n${String(request.body ?? '')}`;
    for (const side of this.sides) {
      if (side === door) continue;
      // What the caller sent himself tells him nothing new.
      const leaked = [...side.markers].find((marker) => answer.text.includes(marker) && !asked.includes(marker));
      report.check(`no byte of ${side.label} in an answer to ${door?.label ?? 'nobody'}`, leaked === undefined, () => {
        const at = answer.text.indexOf(leaked!);
        return `${what} → ${answer.status}: …${answer.text.slice(Math.max(0, at - 60), at + 100)}…`;
      });
    }
    const problem = findHeaderProblem(request, answer);
    report.check('headers keep an answer with its tenant', problem === undefined, () => `${what}: ${problem}`);
  }
}

const assetPath = /^\/(?:-\/)?(?:assets\/[^?]+|[^/?]+\.(?:ico|svg|png|webmanifest|txt))$/;

/** Headers that would let caches, other sites or other tenants' pages have the answer. */
function findHeaderProblem({ path }: Omit<WireRequest, 'port'>, { headers, status }: WireAnswer): string | undefined {
  const cache = String(headers['cache-control'] ?? '');
  const isAsset = assetPath.test(path) && (status === 200 || status === 304);
  if (!isAsset && !/\bno-store\b|\bprivate\b/.test(cache)) return `cache-control is "${cache}"`;
  if (/\bpublic\b|s-maxage/.test(cache) && (!isAsset || headers['set-cookie']))
    return `a shared cache may keep it: "${cache}"`;
  const opened = Object.keys(headers).find((name) => name.startsWith('access-control-allow-'));
  if (opened) return `other origins are let in: ${opened}: ${headers[opened]}`;
  for (const line of [headers['set-cookie'] ?? []].flat()) {
    if (!/^__Host-freehold/.test(line) || !/; Path=\/(;|$)/.test(line))
      return `a cookie of another scope: ${nameOf(line)}`;
    if (/;\s*domain=/i.test(line)) return `a cookie for other hosts: ${nameOf(line)}`;
    if (!/; Secure/.test(line) || !/; HttpOnly/.test(line) || !/; SameSite=(Lax|Strict)/.test(line))
      return `a cookie without its attributes: ${nameOf(line)}`;
  }
  // Set on everything that the applications answer; the bare refusals of the HTTP parser have a body of ours and no page.
  if (headers['x-request-id'] === undefined) return undefined;
  if (headers['cross-origin-resource-policy'] !== 'same-origin') return 'pages of other tenants may embed it';
  if (headers['x-content-type-options'] !== 'nosniff') return 'its type may be guessed';
  if (!/frame-ancestors 'none'|sandbox/.test(String(headers['content-security-policy']))) return 'it may be framed';
  return undefined;
}

function nameOf(setCookie: string): string {
  return `${setCookie.split('=', 1)[0]}=…; ${setCookie.split(';').slice(1).join(';')}`;
}
