import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { httpErrors } from './errors.ts';
import { setPageNonce } from './security-headers.ts';

const brotli = promisify(brotliCompress);
const gzipped = promisify(gzip);
/** A page larger than this was not built by us. */
const maxPageBytes = 64 * 1_048_576;

interface Asset {
  readonly path: string;
  readonly mediaType: string;
  readonly etag: string;
  readonly content: Buffer;
  /** Built with a hash in its name: never changes. */
  readonly immutable: boolean;
  readonly compressed: Map<'br' | 'gzip', Promise<Buffer>>;
}

/** A built page, wholly in memory: serving it touches no disk and no path. */
export interface Page {
  readonly assets: readonly Asset[];
  /** index.html, cut at every `__NONCE__`. */
  readonly indexParts: readonly string[];
}

/** Reads a built page (`index.html` and its assets). Throws FH_PAGE_NOT_BUILT when it is not there. */
export async function loadPage(folder: string | URL): Promise<Page> {
  const root = typeof folder === 'string' ? folder : fileURLToPath(folder);
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw httpErrors.FH_PAGE_NOT_BUILT({ detail: root, cause });
  });
  const assets: Asset[] = [];
  let index: string | undefined;
  let totalBytes = 0;
  for (const entry of entries) {
    const path = relative(root, join(entry.parentPath, entry.name)).split(sep).join('/');
    if (!entry.isFile() || !/^[A-Za-z0-9_-][A-Za-z0-9._/-]*$/.test(path) || /\.(?:map|br|gz)$/.test(path)) continue;
    totalBytes += (await stat(join(root, path))).size;
    if (totalBytes > maxPageBytes) throw httpErrors.FH_PAGE_NOT_BUILT({ detail: `${root} is too large to be a page` });
    const content = await readFile(join(root, path));
    if (path === 'index.html') index = content.toString('utf8');
    else assets.push(toAsset(path, content));
  }
  if (index === undefined) throw httpErrors.FH_PAGE_NOT_BUILT({ detail: root });
  return { assets, indexParts: index.split('__NONCE__') };
}

export interface ServePageOptions {
  /** Where the page lives, with a slash at both ends. Default `/`. */
  readonly prefix?: `/${string}`;
  /** Paths below the prefix that are never the page, for example `['/api/']`: unknown ones are 404. */
  readonly except?: readonly string[];
  /** Route config of index.html, for example who may see it. */
  readonly pageConfig?: FastifyContextConfig;
  /** Route config of scripts, styles and fonts. */
  readonly assetConfig?: FastifyContextConfig;
}

/** Routes for a page: its assets, and index.html for every other navigation below the prefix. */
export function servePage(app: FastifyInstance, page: Page, options: ServePageOptions = {}): void {
  const { prefix = '/', except = [], pageConfig = {}, assetConfig = {} } = options;
  for (const asset of page.assets) {
    app.get(`${prefix}${asset.path}`, { config: { operation: 'page.asset', ...assetConfig } }, (request, reply) =>
      sendAsset(asset, request, reply),
    );
  }
  app.get(`${prefix}*`, { config: { operation: 'page.index', ...pageConfig } }, (request, reply) => {
    const path = request.url.split('?', 1)[0]!;
    if (!isNavigation(request) || except.some((excluded) => path.startsWith(excluded)) || looksLikeFile(path)) {
      reply.callNotFound();
      return reply;
    }
    const nonce = setPageNonce(reply);
    return reply.type('text/html; charset=utf-8').send(page.indexParts.join(nonce));
  });
}

/** Somebody opens the address in a browser, as opposed to a script or an image asking for it. */
export function isNavigation(request: FastifyRequest): boolean {
  if (request.method !== 'GET' && request.method !== 'HEAD') return false;
  const mode = request.headers['sec-fetch-mode'];
  if (mode !== undefined && mode !== 'navigate') return false;
  return request.headers.accept?.includes('text/html') ?? false;
}

function looksLikeFile(path: string): boolean {
  return /\.[A-Za-z0-9]{1,8}$/.test(path);
}

async function sendAsset(asset: Asset, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  reply.header('etag', asset.etag);
  reply.header('cache-control', asset.immutable ? 'public, max-age=31536000, immutable' : 'public, max-age=300');
  reply.header('vary', 'Accept-Encoding');
  if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send();
  reply.type(asset.mediaType);
  const encoding = isCompressible(asset) ? chooseEncoding(request.headers['accept-encoding']) : undefined;
  if (!encoding) return reply.send(asset.content);
  // Compressed once, when first wanted, so that a start does not wait for it.
  let compressed = asset.compressed.get(encoding);
  if (!compressed) {
    compressed =
      encoding === 'br'
        ? brotli(asset.content, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } })
        : gzipped(asset.content, { level: 9 });
    asset.compressed.set(encoding, compressed);
  }
  return reply.header('content-encoding', encoding).send(await compressed);
}

/** RFC 9110, 12.5.3, as far as browsers use it: a coding is taken unless it is refused with q=0. */
export function chooseEncoding(accepted: string | string[] | undefined): 'br' | 'gzip' | undefined {
  const text = String(accepted ?? '');
  return (['br', 'gzip'] as const).find((encoding) => {
    const match = new RegExp(`(?:^|,)\\s*${encoding}\\s*(?:;\\s*q=([0-9.]+)\\s*)?(?=,|$)`, 'i').exec(text);
    return match !== null && Number(match[1] ?? 1) > 0;
  });
}

function isCompressible({ mediaType, content }: Asset): boolean {
  return content.length > 1_024 && /^(?:text\/|application\/(?:json|manifest)|image\/svg)/.test(mediaType);
}

function toAsset(path: string, content: Buffer): Asset {
  return {
    path,
    content,
    mediaType: mediaTypes[extname(path).toLowerCase()] ?? 'application/octet-stream',
    etag: `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`,
    immutable: path.startsWith('assets/') && /-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$/.test(path),
    compressed: new Map(),
  };
}

const mediaTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
};
