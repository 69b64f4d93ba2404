/**
 * http: the conventions of every HTTP listener of ours. Request ids, problem documents (RFC 9457) and error pages, security headers,
 * one log line and metrics per request, server-sent events, built pages from memory. Knows nothing of tenants.
 * Invariants: an error without a code of ours shows nothing but FH_INTERNAL; headers are set before any other work; no URL is logged.
 * Called by: gateway, console-api, hosting.
 */
export { createHttpApp, type HttpAppOptions, requestIdOf, wantsPage } from './app.ts';
export { answerBrokenRequest } from './broken-request.ts';
export { type ErrorPage, escapeHtml, renderErrorPage } from './error-page.ts';
export { httpErrors } from './errors.ts';
export { type EventStream, type EventStreamOptions, openEventStream, type StreamedEvent } from './event-stream.ts';
export { createHttpMetrics, figuresAsMetrics, type HttpMetrics, type MetricFigure, mergeMetrics } from './metrics.ts';
export { isNavigation, loadPage, type Page, type ServePageOptions, servePage } from './page.ts';
export { type Problem, toProblem, toPublicError } from './problem.ts';
export { discardContent } from './refusal.ts';
export {
  contentSecurityPolicy,
  type HstsOptions,
  hstsOf,
  securityHeaders,
  setPageNonce,
  tenantHsts,
} from './security-headers.ts';
export { tlsFloor } from './tls.ts';
