/**
 * The pages: three bundles from one design system. `node web/build.ts` builds them all (see there);
 * `node node_modules/vite/bin/vite.js build --mode console` builds one.
 */
import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig, type InlineConfig } from 'vite';

export const pages = {
  /** Sign-in, invitations, account, people, security log: on every tenant's host. */
  account: { root: 'web/account', base: '/-/' },
  /** The operator's console, on a listener of its own. */
  console: { root: 'web/console', base: '/' },
  /** The bundled app. */
  desk: { root: 'apps/desk/web', base: '/' },
} as const;
export type PageName = keyof typeof pages;

export function pageConfig(name: PageName, outDir: string): InlineConfig {
  return {
    configFile: false,
    root: fileURLToPath(new URL(pages[name].root, import.meta.url)),
    base: pages[name].base,
    publicDir: false,
    plugins: [react()],
    logLevel: 'warn',
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2023',
      // The content-security policy has no `data:` for fonts and styles, so nothing is inlined.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      rolldownOptions: {
        output: {
          // What changes least lies apart, so that a new release of ours leaves it in the browser's cache.
          codeSplitting: {
            groups: [
              { name: 'react', test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/ },
              { name: 'tanstack', test: /node_modules[\\/]@tanstack[\\/]/ },
            ],
          },
        },
      },
    },
  };
}

export default defineConfig(({ mode }) => {
  if (!Object.hasOwn(pages, mode)) throw new Error(`--mode must be one of ${Object.keys(pages).join(', ')}`);
  const name = mode as PageName;
  return { ...pageConfig(name, fileURLToPath(new URL(`dist/${name}`, import.meta.url))), mode: 'production' };
});
