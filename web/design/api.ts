/** Talking to our own servers: JSON in, JSON out, problem documents (RFC 9457) as a typed error. */
import { isSomebodyThere } from './presence.ts';

export interface Problem {
  readonly status: number;
  /** Stable code, for example `FH_TENANT_NAME_TAKEN`. */
  readonly code: string;
  /** What happened. */
  readonly title: string;
  /** Why it happened this time. */
  readonly detail: string | undefined;
  /** What to do next. */
  readonly hint: string | undefined;
  /** Messages per field of a refused form. */
  readonly fields: Readonly<Record<string, string>>;
  readonly requestId: string | undefined;
  readonly retryAfterSeconds: number | undefined;
}

export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.title);
    this.problem = problem;
  }
}

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Sent as JSON, or as it is when it is a FormData or Blob. */
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Same-origin request. Returns the parsed JSON body, or undefined for an empty answer (204).
 * Throws ProblemError for every refusal, also when the server cannot be reached (`code` FH_WEB_UNREACHABLE, status 0).
 */
export async function apiFetch<T>(path: string, request: ApiRequest = {}): Promise<T> {
  const response = await send(path, request);
  const text = await response.text();
  if (!response.ok) throw problemOf(response, text);
  if (text === '') return undefined as T;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw problemOf(response, text, 502);
  }
}

/**
 * Fetches a file and hands it to the browser's downloads under the name that the server gives; the browser keeps a large one on its disk meanwhile. Rejects as
 * `apiFetch` does, also when the bytes break off: nothing is saved then.
 */
export async function apiDownload(path: string, request: ApiRequest = {}): Promise<void> {
  const response = await send(path, request);
  if (!response.ok) throw problemOf(response, await response.text());
  const content = await response.blob().catch(() => {
    throw unreachable();
  });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '')?.[1] ?? 'download';
  link.click();
  // The browser has taken hold of it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function problemOf(response: Response, text: string, status = response.status): ProblemError {
  return new ProblemError(parseProblem(status, text, (name) => response.headers.get(name)));
}

async function send(path: string, request: ApiRequest): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json, application/problem+json', ...request.headers };
  const method = request.method ?? 'GET';
  if (method === 'GET' && !isSomebodyThere()) headers['freehold-background'] = '1';
  let body: BodyInit | undefined;
  if (request.body instanceof FormData || request.body instanceof Blob) body = request.body;
  else if (request.body !== undefined) {
    headers['content-type'] = 'application/json';
    body = JSON.stringify(request.body);
  }
  try {
    return await fetch(path, {
      method,
      credentials: 'same-origin',
      redirect: 'error',
      headers,
      ...(body === undefined ? {} : { body }),
      ...(request.signal ? { signal: request.signal } : {}),
    });
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw unreachable();
  }
}

export interface UploadRequest {
  /** Name of the form field. Default: `file`. */
  readonly field?: string;
  /** Sends the bytes alone under this media type, without a form. */
  readonly mediaType?: string;
  readonly signal?: AbortSignal;
  /** Share of the bytes sent, 0…1. */
  readonly onProgress?: (share: number) => void;
}

/** Sends one file, as multipart/form-data unless told, with progress, which `fetch` cannot report. Answers and errors as `apiFetch`. */
export function apiUpload<T>(path: string, file: File, request: UploadRequest = {}): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open('POST', path);
    xhr.setRequestHeader('accept', 'application/json, application/problem+json');
    xhr.upload.addEventListener('progress', (event) => {
      if (event.lengthComputable) request.onProgress?.(event.loaded / event.total);
    });
    xhr.addEventListener('load', () => {
      if (xhr.status < 200 || xhr.status > 299) {
        reject(new ProblemError(parseProblem(xhr.status, xhr.responseText, (name) => xhr.getResponseHeader(name))));
        return;
      }
      resolve((xhr.responseText === '' ? undefined : JSON.parse(xhr.responseText)) as T);
    });
    xhr.addEventListener('error', () => reject(unreachable()));
    xhr.addEventListener('abort', () => reject(new DOMException('The upload was stopped.', 'AbortError')));
    request.signal?.addEventListener('abort', () => xhr.abort(), { once: true });
    if (request.mediaType) {
      xhr.setRequestHeader('content-type', request.mediaType);
      xhr.send(file);
      return;
    }
    const form = new FormData();
    form.append(request.field ?? 'file', file);
    xhr.send(form);
  });
}

/** What to show for anything that was thrown. */
export function toProblem(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  return {
    status: 0,
    code: 'FH_WEB_UNEXPECTED',
    title: 'This page ran into an error of its own',
    detail: error instanceof Error ? error.message : undefined,
    hint: 'Reload the page. If it happens again, tell your operator what you were doing.',
    fields: {},
    requestId: undefined,
    retryAfterSeconds: undefined,
  };
}

function unreachable(): ProblemError {
  return new ProblemError({
    status: 0,
    code: 'FH_WEB_UNREACHABLE',
    title: 'The server cannot be reached',
    detail: 'Your network connection is down, or the server is being restarted.',
    hint: 'Check your connection and try again. Nothing you typed on this page is lost.',
    fields: {},
    requestId: undefined,
    retryAfterSeconds: undefined,
  });
}

function parseProblem(status: number, text: string, header: (name: string) => string | null): Problem {
  let body: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) body = parsed as Record<string, unknown>;
  } catch {
    // A proxy in between may answer with a page of its own; the status is all we know then.
  }
  const string = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  const retryAfter = Number(body.retryAfterSeconds ?? header('retry-after') ?? Number.NaN);
  const fields = typeof body.fields === 'object' && body.fields !== null ? body.fields : {};
  return {
    status,
    code: string(body.code) ?? `HTTP_${status}`,
    title: string(body.title) ?? titleOf(status),
    detail: string(body.detail),
    hint: string(body.hint),
    fields: Object.fromEntries(Object.entries(fields).map(([name, message]) => [name, String(message)])),
    requestId: string(body.requestId) ?? header('x-request-id') ?? undefined,
    retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
  };
}

function titleOf(status: number): string {
  if (status === 401) return 'You are not signed in';
  if (status === 403) return 'You may not do this';
  if (status === 404) return 'There is nothing at this address';
  if (status === 413) return 'This is too large';
  if (status === 429) return 'Too many requests';
  if (status === 502 || status === 503 || status === 504) return 'The server is not ready';
  return status >= 500 ? 'Something went wrong on our side' : 'The request was refused';
}
