import * as at from './places.ts';
import { type AsvsRow, met, metBy, notApplicable, notMet } from './types.ts';

const noGraphQl = 'There is no GraphQL.';

export const api: readonly AsvsRow[] = [
  met(
    'V4.1.1',
    'Everything with a body says its type, text and JSON with charset=utf-8; an answer of an app without one is JSON, and types that browsers run are refused.',
    [at.app, 'bad requests are refused with what is wrong, and nothing is answered by the framework itself'],
    [at.page, 'index.html with the nonce of the answer, for navigations only'],
    [at.context, 'an app sets only harmless headers'],
  ),
  met(
    'V4.1.2',
    'Only GET and HEAD of pages are led from HTTP to HTTPS; an API, another method or an Authorization header gets 403 FH_HTTPS_REQUIRED.',
    [at.doors, 'plain HTTP on the same port is only ever sent to HTTPS, and only towards hosts of ours'],
    [at.http, 'plain HTTP on the same port is redirected, without looking at it'],
  ),
  met(
    'V4.1.3',
    'Headers of intermediaries (X-Forwarded-*, Forwarded, X-Real-IP) are not read at all: the address is that of the connection. Apps that run as processes get ours in their place.',
    [at.doors, 'raw requests: what is not exactly one request for one host of ours is refused'],
    [at.http, 'a host that is unknown, doubled or malformed gets nowhere'],
    [at.proxiedAttacks, 'no attack hides a request, forges who asks, or tells an app the session'],
  ),
  met(
    'V4.1.4',
    'Seven methods pass the door, and of those each address takes what it names; everything else is 405. Nothing of ours answers a preflight. Apps that run as processes decide for themselves, but for TRACE and CONNECT.',
    [at.limits, 'limits: 404, 405, 413, 415, forbidden keys, long addresses, many headers'],
    [at.app, 'bad requests are refused with what is wrong, and nothing is answered by the framework itself'],
  ),
  notMet('V4.1.5', 'Requests are not signed one by one.'),
  met(
    'V4.2.1',
    'Node.js parses strictly and we refuse besides: length and chunks together, two lengths, strange codings, bare line feeds, folded lines. Towards apps that run as processes we frame every message anew.',
    [at.doors, 'raw requests: what is not exactly one request for one host of ours is refused'],
    [at.gateway, 'HTTP/2: the same doors, by :authority'],
    [at.proxiedAttacks, 'no attack hides a request, forges who asks, or tells an app the session'],
  ),
  metBy(
    'design',
    'V4.2.2',
    'Lengths are written by Node.js or taken from the very bytes that are sent; apps may not set them.',
    [at.context, 'an app sets only harmless headers'],
  ),
  metBy(
    'design',
    'V4.2.3',
    'Node.js refuses them in HTTP/2 (nghttp2, RFC 9113, 8.2.2), and our refusals leave `connection` out there.',
  ),
  metBy('design', 'V4.2.4', 'nghttp2 refuses such values (RFC 9113, 8.2.1) before we see the request.'),
  metBy(
    'review',
    'V4.2.5',
    'Addresses that we make have a bound (the way back to a page: 2,000 characters), and cookies one length.',
  ),
  notApplicable('V4.3.1', noGraphQl),
  notApplicable('V4.3.2', noGraphQl),
  met(
    'V4.4.1',
    'WebSockets are passed on to apps that run as processes, and reach us over TLS only, as everything does.',
    [at.webSockets, 'a WebSocket is passed through byte by byte, with what was sent early, and ends on both sides'],
  ),
  met(
    'V4.4.2',
    "Where the app asks us who somebody is, the origin must be the tenant's own. An app that knows its own users checks for itself.",
    [at.webSockets, 'where the app asks who somebody is, a WebSocket needs a session and the own origin'],
  ),
  notApplicable(
    'V4.4.3',
    "The session's own cookie is checked when a WebSocket begins, and its session while it lasts.",
  ),
  notApplicable(
    'V4.4.4',
    "The session's own cookie is checked when a WebSocket begins, and its session while it lasts.",
  ),
];
