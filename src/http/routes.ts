import type { FastifyInstance } from 'fastify';

export interface MethodTable {
  /** Methods that some route takes at this URL; empty when no route matches it. */
  allowed(url: string): string[];
}

/** Remembers which methods each pattern takes, to answer 405 instead of 404. Wildcards are left out: they match everything. */
export function createMethodTable(app: FastifyInstance): MethodTable {
  const methodsByPattern = new Map<string, { readonly matches: RegExp; readonly methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    if (url.includes('*')) return;
    let entry = methodsByPattern.get(url);
    if (!entry) {
      const source = url.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/:[A-Za-z0-9_]+/g, '[^/]+');
      entry = { matches: new RegExp(`^${source}$`), methods: new Set() };
      methodsByPattern.set(url, entry);
    }
    for (const one of Array.isArray(method) ? method : [method]) entry.methods.add(one);
  });
  return {
    allowed: (url) => {
      const path = url.split('?', 1)[0]!;
      const found = new Set<string>();
      for (const { matches, methods } of methodsByPattern.values()) {
        if (matches.test(path)) for (const method of methods) found.add(method);
      }
      return [...found].sort();
    },
  };
}
