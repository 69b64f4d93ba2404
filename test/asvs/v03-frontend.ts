import * as at from './places.ts';
import { type AsvsRow, met, metBy, notApplicable, notMet, partly } from './types.ts';

export const frontend: readonly AsvsRow[] = [
  partly(
    'V3.1.1',
    'security.md, "In the browser", says what pages rely on; what becomes of browsers without it is said for TLS and cookies only.',
  ),
  met(
    'V3.2.1',
    'What users uploaded is a download of octets in a sandbox unless its type is harmless; APIs answer JSON with nosniff and refuse requests that another site made a browser send.',
    [
      at.hosting,
      'a page that somebody uploads is not shown in place',
      'a file comes back as it was, with headers that keep it harmless',
    ],
    [at.gateway, 'other sites, other tenants’ pages among them, cannot make requests'],
  ),
  metBy(
    'design',
    'V3.2.2',
    'React puts text into text nodes; there is no innerHTML, dangerouslySetInnerHTML or document.write in the pages, and the policy would stop an inline script.',
  ),
  metBy(
    'design',
    'V3.2.3',
    'Pages are ES modules in TypeScript, without globals, and Markdown of users makes no elements with ids or names of their own.',
  ),
  met(
    'V3.3.1',
    'All cookies are `__Host-` and Secure.',
    [at.http, 'the cookie is __Host-freehold, for this host alone, out of reach of scripts'],
    [at.routes, 'a user’s first hour: invitation, session, profile, another invitation, sign-out'],
  ),
  met(
    'V3.3.2',
    'The session is Lax, so that a link from a mail finds one signed in; the device, the challenge and the console are Strict.',
    [at.http, 'the cookie is __Host-freehold, for this host alone, out of reach of scripts'],
    [at.staff, 'the routes: set up, who am I, sign out, sign in'],
  ),
  met('V3.3.3', 'All cookies are `__Host-`: one host, one path, no domain.', [
    at.http,
    'the cookie is __Host-freehold, for this host alone, out of reach of scripts',
  ]),
  met(
    'V3.3.4',
    'All cookies are HttpOnly, and their values are in no body.',
    [at.http, 'the cookie is __Host-freehold, for this host alone, out of reach of scripts'],
    [at.routes, 'a user’s first hour: invitation, session, profile, another invitation, sign-out'],
  ),
  metBy('design', 'V3.3.5', 'The values of all cookies have one length, far below 300 bytes.'),
  met(
    'V3.4.1',
    'Every answer over TLS has it for a year, also those to what is no HTTP; for everything below where the name is ours alone. On `localhost`, where other programs serve too, only the hosts of tenants say so of what is below them.',
    [at.gateway, 'security headers on every kind of answer, and no banner'],
    [at.doors, 'raw requests: what is not exactly one request for one host of ours is refused'],
    [at.http, 'answers carry the headers that keep pages safe'],
  ),
  metBy(
    'design',
    'V3.4.2',
    'No answer has an Access-Control header: nothing is shared with other origins, and no app may set one (src/hosting/result.ts allows seven headers).',
    [at.context, 'an app sets only harmless headers'],
  ),
  met(
    'V3.4.3',
    "Every answer has a policy that begins with default-src 'none', with object-src and base-uri 'none'; pages get a nonce of their own per answer.",
    [
      at.app,
      'security headers are on every answer, and nothing tells what we run',
      'a browser gets a page, with a nonce of its own and every text escaped',
    ],
    [at.http, 'answers carry the headers that keep pages safe'],
    [at.doors, 'raw requests: what is not exactly one request for one host of ours is refused'],
  ),
  met(
    'V3.4.4',
    'On every answer, also those to what is no HTTP.',
    [at.doors, 'raw requests: what is not exactly one request for one host of ours is refused'],
    [at.http, 'answers carry the headers that keep pages safe'],
  ),
  met(
    'V3.4.5',
    'Referrer-Policy: no-referrer on every answer.',
    [at.app, 'security headers are on every answer, and nothing tells what we run'],
    [at.http, 'answers carry the headers that keep pages safe'],
  ),
  met(
    'V3.4.6',
    "frame-ancestors 'none' on every answer; nothing may be embedded.",
    [at.http, 'answers carry the headers that keep pages safe'],
    [at.doors, 'plain HTTP on the same port is only ever sent to HTTPS, and only towards hosts of ours'],
  ),
  notMet('V3.4.7', 'The policy names no place for reports.'),
  met(
    'V3.4.8',
    'same-origin on every answer.',
    [at.app, 'security headers are on every answer, and nothing tells what we run'],
    [at.http, 'answers carry the headers that keep pages safe'],
  ),
  met(
    'V3.5.1',
    'What changes something is refused unless Sec-Fetch-Site and Origin, where a browser sends them, say that it comes from this very origin; other tenants are other origins.',
    [at.gateway, 'other sites, other tenants’ pages among them, cannot make requests'],
    [at.http, 'what another site makes a browser send is refused'],
  ),
  met(
    'V3.5.2',
    'Nothing rests on the preflight alone: origins are compared, and bodies of the types that need none (text, forms) are not taken. One address takes a form of other sites, what a SAML provider has the browser post: it hands it on to a page of ours, reads no cookie and changes nothing.',
    [
      at.gateway,
      'other sites, other tenants’ pages among them, cannot make requests',
      'an identity provider’s form is handed on by our page, without a look at cookies or the database; nothing else is',
    ],
    [at.badInput, 'the wrong content type'],
  ),
  met(
    'V3.5.3',
    'GET and HEAD change nothing of what users have: the platform does it by POST, PUT, PATCH and DELETE, and reads of apps run in sessions of the database that cannot write before they were checked. Requests by GET that another site starts are refused unless somebody follows a link.',
    [at.gateway, 'other sites, other tenants’ pages among them, cannot make requests'],
    [
      'src/hosting/presumed.test.ts',
      'nothing but reading happens before the check, and nothing at all when it refuses',
    ],
  ),
  met(
    'V3.5.4',
    'Every tenant has a host of its own, the console a listener of its own; a request that does not name its host exactly, in TLS and in HTTP, goes nowhere.',
    [at.gateway, 'a tenant is reached by its host alone, and another tenant’s cookie means nothing'],
    [at.http, 'the console answers to its own names only'],
  ),
  notApplicable('V3.5.5', 'No page uses postMessage.'),
  metBy('design', 'V3.5.6', 'There is no JSONP: JSON is answered as application/json, whatever the query says.'),
  metBy('design', 'V3.5.7', 'Scripts are built files, the same for everybody; data comes from the API.', [
    at.page,
    'assets are compressed, immutable when hashed, and revalidated by ETag',
  ]),
  met(
    'V3.5.8',
    'Requests that another site makes are refused unless they are navigations to a document, and Cross-Origin-Resource-Policy: same-origin is on every answer.',
    [
      at.gateway,
      'other sites, other tenants’ pages among them, cannot make requests',
      'security headers on every kind of answer, and no banner',
    ],
  ),
  metBy(
    'design',
    'V3.6.1',
    'Nothing is loaded from elsewhere: scripts, styles and fonts are built in, and the policy allows our own origin only.',
    [at.http, 'answers carry the headers that keep pages safe'],
  ),
  metBy('design', 'V3.7.1', 'Pages are HTML, CSS and ES modules.'),
  met(
    'V3.7.2',
    'Redirections lead to paths of the same host, and from HTTP to HTTPS towards hosts of ours only.',
    ['web/design/next.test.ts', 'never leaves this host, and never comes back to the sign-in page'],
    [at.doors, 'plain HTTP on the same port is only ever sent to HTTPS, and only towards hosts of ours'],
    [at.context, 'an app sets only harmless headers'],
  ),
  notMet('V3.7.3', 'Links in Markdown that lead elsewhere open in a window of their own, without a warning.'),
  notMet('V3.7.4', 'The operator may have the domain preloaded; nothing here asks for it.'),
  notMet('V3.7.5', 'Pages do not look for the features of the browser that they rely on.'),
];
